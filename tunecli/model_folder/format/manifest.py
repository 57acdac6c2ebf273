"""The content of `model.json`: everything needed to use a model, except its arrays."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from tunecli.data.rows.dataset import Column
from tunecli.data.rows.decoding import OF_16_BITS, Depth
from tunecli.study_file.settings.settings import Task, TrialConfig
from tunecli.training.outcome.output_meaning import OutputMeaning

FORMAT: Literal[1] = 1

RowType = Literal["float64", "float32", "uint8", "int64"]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
_FIRST_KINDS = {
    "OfTable": "table",
    "OfBytes": "pixels",
    "OfNumbers": "numbers",
    "OfIntegers": "integers",
}
"""Kinds of preprocessing as the first versions called them."""


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class MemberManifest(_Facts):
    """One trained network; a model is one of them, or the weighted mean of several.

    Attributes:
        shape: shape of a row as the network gets it.
        n_outputs: number of the network's outputs.
        meaning: meaning of its outputs.
        preprocessing: kind of preprocessing, in a word; its tensors are in a separate file.
        n_bins: bins per number that is embedded piecewise linearly; else empty.
        norms: layers that compression has folded into those before them.
        architecture: configuration of a network of transformers as JSON; else empty.
        weight: how often its predictions count in the mean.
        trial: number of the trial that it was trained for; None for the model's `trial`.
        config: the configuration of that trial; None for the model's `config`.
    """

    shape: tuple[Positive, ...]
    n_outputs: Positive
    meaning: OutputMeaning
    preprocessing: Annotated[str, AfterValidator(lambda kind: _FIRST_KINDS.get(kind, kind))]
    n_bins: tuple[Positive, ...] = ()
    norms: tuple[str, ...] = ()
    architecture: str = ""
    weight: Positive = 1
    trial: int | None = None
    config: TrialConfig | None = None

    @model_serializer(mode="wrap")
    def _without_new_fields(self, as_before: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what only a weighted mean has: earlier versions refuse fields they lack."""
        fields: dict[str, Any] = as_before(self)
        plain = {"weight": 1, "trial": None, "config": None}
        return {name: v for name, v in fields.items() if name not in plain or v != plain[name]}


class ThresholdManifest(_Facts):
    """The rule by which a model of two classes predicts one of them.

    Attributes:
        positive: name of the class.
        threshold: the smallest of its probabilities at which it is predicted.
    """

    positive: str
    threshold: Share


class Manifest(_Facts):
    """The description of a model.

    Attributes:
        trial: the trial's number in the study; of several trials, that of the first member.
        config: the configuration that it was trained with; of several, that of the first member.
        classes: class names in the order of the probabilities; empty for regression and labels.
        targets: names of several targets in the order of the predictions; empty for a single one.
        columns: columns of the tables that it takes, without those of text; empty for pictures.
        texts: columns of text that it takes; `row_shape` counts them, too.
        row_shape, row_dtype: shape and type of rows as they are read, before preprocessing.
        depth: how pictures of more than 8 bits became bytes; None if all had 8 bits. Models
            without this field were trained on the upper 8 of 16 bits.
        fingerprint: fingerprint of the data that it was trained on.
        code: hash of the user code that its network is made of, by its `--code` option; empty for
            an installed package, and in models of the first versions.
        versions: versions of the packages that trained it.
        temperature: divides the logarithms of the probabilities; None in models of earlier
            versions, and where it would not help.
        decision: the rule for the predicted class; None for the most probable class.
        thresholds: the smallest probability at which each label is predicted; empty for 0.5, and
            without labels.
        files: SHA-256 of each of the other files that are read, in hexadecimal.
    """

    format: Literal[1] = FORMAT
    study: str
    trial: int
    config: TrialConfig
    task: Task
    classes: tuple[str, ...]
    targets: tuple[str, ...] = ()
    columns: tuple[Column, ...]
    texts: tuple[str, ...] = ()
    row_shape: tuple[Positive, ...]
    depth: Depth | None = OF_16_BITS
    row_dtype: RowType
    members: Annotated[tuple[MemberManifest, ...], Field(min_length=1)]
    fingerprint: str
    code: dict[str, str] = {}
    versions: dict[str, str]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    decision: ThresholdManifest | None = None
    thresholds: tuple[Share, ...] = ()
    files: dict[str, str] = {}

    def config_of(self, member: MemberManifest) -> TrialConfig:
        """Return the configuration that a member was trained with."""
        return member.config or self.config

    def trial_of(self, member: MemberManifest) -> int:
        """Return the number of the trial that a member was trained for."""
        return self.trial if member.trial is None else member.trial

    @property
    def is_of_one_trial(self) -> bool:
        """Whether all members were trained for one trial."""
        return len(self.configs) == 1

    @property
    def trial_weights(self) -> dict[int, float]:
        """The share of each trial in the mean, by its number; the first member's first."""
        total = sum(member.weight for member in self.members)
        shares = dict.fromkeys(self.configs, 0.0)
        for member in self.members:
            shares[self.trial_of(member)] += member.weight / total
        return shares

    @property
    def configs(self) -> dict[int, TrialConfig]:
        """The configurations of all members, by the trial's number; the first member's first."""
        found = {self.trial: self.config}
        for member in self.members:
            found.setdefault(self.trial_of(member), self.config_of(member))
        return found
