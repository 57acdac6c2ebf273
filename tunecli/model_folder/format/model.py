"""A trained model that predicts classes or values for rows as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.data.new_rows import Block, RowKind, blocks_of, rows_of
from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.preprocessing.preparation import Preprocessing
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.errors import DataError
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.model_folder.format.mean_predictions import mean_of
from tunecli.model_folder.language.continuations import Sampling
from tunecli.model_folder.language.language_model import LanguageModel, TextScore
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.packing import Packed
from tunecli.training.outcome.class_predictions import HALF
from tunecli.training.outcome.decision import Decision, LabelDecision, predicted_classes
from tunecli.training.outcome.temperature import calibrated
from tunecli.training.step.losses import Predictions, decode_outputs
from tunecli.training.step.precision import Precision
from tunecli.training.user_loop.user_network import UserNetwork

BATCH_BYTES = 8 * 2**20
BATCH_TOKENS = 2**14
"""Largest number of tokens per batch of text, whose vectors take far more memory than they."""
MOST_ROWS = 1024
"""Largest number of rows per batch. The number depends on the shape of a row alone, so that the
same rows in the same order give the same bits, however many there are."""


@dataclass(frozen=True)
class Member:
    """One trained network with the preprocessing that was fitted for it.

    Attributes:
        packed: the packed form that a compressed network was read from; else None.
    """

    facts: MemberManifest
    preprocessing: Preprocessing
    network: nn.Module
    packed: Packed | None = None


class Model:
    """A model from `tunecli refit`, as `tunecli.load` returns it.

    Attributes:
        facts: the content of its `model.json`.
        members: networks whose predictions are averaged, by their weights; usually one.
        device: the device that it computes on.
        workspace: where named sources are found.
    """

    def __init__(
        self,
        facts: Manifest,
        members: Sequence[Member],
        device: torch.device,
        workspace: Workspace = HERE,
    ) -> None:
        self.facts = facts
        self.members = tuple(members)
        self.device = device
        self.workspace = workspace
        self._precision = self._precision_of(facts.config)
        self._precisions = {
            one.facts.trial: self._precision_of(facts.config_of(one.facts)) for one in members
        }
        for member in self.members:
            member.network.to(device).eval()

    def _precision_of(self, config: TrialConfig) -> Precision:
        return Precision(config.training, self.device, config.numerics)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities; empty for regression."""
        return self.facts.classes

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of several targets in the order of the predictions; empty for a single one."""
        return self.facts.targets

    @property
    def has_probabilities(self) -> bool:
        """Whether it predicts classes or labels, not values."""
        return bool(self.classes) or self.facts.task == "multilabel"

    @property
    def decision(self) -> Decision | LabelDecision | None:
        """The rule for what is predicted; None for the most probable class, and for values."""
        if self.facts.task == "multilabel":
            return LabelDecision(self.facts.thresholds or (HALF,) * len(self.targets))
        rule = self.facts.decision
        if rule is None:
            return None
        return Decision(self.classes.index(rule.positive), rule.threshold)

    @property
    def n_weights(self) -> int:
        """Number of parameters of all networks."""
        return sum(p.numel() for m in self.members for p in m.network.parameters())

    @property
    def user_networks(self) -> list[UserNetwork]:
        """The networks that user code computes; none or all."""
        networks = [member.network for member in self.members]
        return [network for network in networks if isinstance(network, UserNetwork)]

    @cached_property
    def row_kind(self) -> RowKind:
        """The kind of rows that it takes."""
        facts = self.facts
        return RowKind(
            facts.columns,
            facts.row_shape,
            facts.row_dtype,
            facts.config.data,
            facts.depth,
            facts.texts,
        )

    @cached_property
    def language(self) -> LanguageModel:
        """The model as one of language, which scores and continues texts.

        Raises:
            DataError: it predicts something else.
        """
        member, *others = self.members
        if not isinstance(member.preprocessing, FittedBlocks) or others:
            what = "labels" if self.has_probabilities else "values"
            what = "classes" if self.classes else what
            raise DataError(
                f"the model predicts {what}, but only a language model scores and continues texts."
            )
        return LanguageModel(member.network, member.preprocessing, self._precision, self.device)

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """Return how well a language model predicts each text.

        Raises:
            DataError: the model predicts classes or values.
        """
        return self.language.scores(self.row_kind.texts_alone(Texts.of(texts)))

    def generate(
        self,
        texts: Sequence[str],
        n_tokens: int,
        temperature: float = 0.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Return what follows each text in a language model, at most `n_tokens` tokens of it.

        Args:
            temperature: see `Sampling`; 0 takes the most probable token each time.

        Raises:
            DataError: the model predicts classes or values, or an argument is out of its range.
        """
        return self.language.continued(texts, n_tokens, Sampling(temperature, top_k, seed))

    @property
    def batch_rows(self) -> int:
        """Number of rows per batch."""
        largest = max(int(np.prod(member.facts.shape)) for member in self.members)
        if self.facts.texts:
            return max(1, min(MOST_ROWS, BATCH_TOKENS // largest))
        return max(1, min(MOST_ROWS, BATCH_BYTES // (4 * largest)))

    def predict(self, x: object) -> NDArray[Any]:
        """Return the name of a class per row; or a value per row, float64.

        The class is the most probable one, unless the model has a threshold (`facts.decision`). Of
        several targets, return (n, n_targets): values, or 1 for the predicted labels, else 0.

        Args:
            x: a DataFrame; an array or a tensor, (n, n_features) or (n, channels, height, width);
                a list of texts, for a model that takes one column of text and nothing else; or the
                path of a file or a folder, or a data set's name, as in a study file.

        Raises:
            DataError: `x` does not fit the model; the message names the reason.
        """
        return self.decided(self.outputs(x))

    def decided(self, outputs: Predictions) -> NDArray[Any]:
        """Return what is predicted for each row, from `outputs`; see `predict`."""
        decision = self.decision
        if isinstance(decision, LabelDecision):
            return decision.labels(outputs)
        if not self.classes:
            return outputs
        names: NDArray[Any] = np.array(self.classes)
        return names[predicted_classes(outputs, decision)]

    def predict_proba(self, x: object) -> Predictions:
        """Return the probabilities of classes or labels, (n, n_classes) float32; see `predict`.

        Raises:
            DataError: the model predicts values.
        """
        if not self.has_probabilities:
            raise DataError("a regression model has no probabilities. Use predict.")
        return self.outputs(x)

    def outputs(self, x: object) -> Predictions:
        """Return probabilities (n, n_classes), or values (n,) or (n, n_targets); see `predict`."""
        if self.facts.task == "language_modeling":
            raise DataError("a language model has no predictions. Use score or generate.")
        if not isinstance(x, str | Path):
            return self.of_rows(rows_of(x, self.row_kind))
        return np.concatenate([self.of_rows(block.x) for block in self.blocks(str(x))])

    def blocks(self, source: str, keep: Sequence[str] = ()) -> Iterator[Block]:
        """Read rows to predict, block by block; see `blocks_of`."""
        return blocks_of(source, self.row_kind, self.workspace, self.batch_rows, keep)

    @torch.no_grad()
    def of_rows(self, x: Tensor | TextRows) -> Predictions:
        """Return predictions for rows as they are read, (n, *row_shape); see `outputs`."""
        with self._precision.in_force():
            parts = [self._of_batch(part) for part in x.split(self.batch_rows)]
        if not parts:
            names = self.classes or self.targets
            kind = np.float32 if self.has_probabilities else np.float64
            return np.empty((0, len(names)) if names else 0, kind)
        return np.concatenate(parts)

    def _of_batch(self, x: Tensor | TextRows) -> Predictions:
        predictions = [self._of_member(member, x) for member in self.members]
        weights = [member.facts.weight for member in self.members]
        return calibrated(mean_of(predictions, weights), self.facts.temperature)

    def _of_member(self, member: Member, x: Tensor | TextRows) -> Predictions:
        precision = self._precisions[member.facts.trial]
        with precision.in_force():
            prepared = member.preprocessing(x).to(self.device)
            with precision.forward():
                outputs = member.network(prepared)
            return decode_outputs(member.facts.meaning, outputs)
