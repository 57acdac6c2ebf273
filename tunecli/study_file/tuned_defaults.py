"""Configurations of models for tables that their authors tuned on many data sets.

`search.start_with: tuned` tries those that fit a study's models and its data first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunecli.study_file.locate_config import match
from tunecli.study_file.read_start_with import Assignment
from tunecli.study_file.settings.settings import Component, Task, TrialConfig
from tunecli.study_file.study_file import Study

_TABM = "Gorishniy et al. 2025, arXiv:2410.24210"
_REAL_MLP = "Holzmüller et al. 2024, arXiv:2407.04491"


@dataclass(frozen=True)
class TunedDefault:
    """A published configuration.

    Attributes:
        needed: arguments of the model without which the rest of it would not be good.
        training: settings of `training`.
        source: where it is from, in a few words.
    """

    model: Component
    optimizer: Component
    training: Mapping[str, Any]
    scale: str
    source: str
    needed: tuple[str, ...] = ()
    schedule: Component | None = None
    loss: Component | None = None

    def applied_to(self, config: TrialConfig) -> TrialConfig:
        """Return a configuration with the published values in place of its own."""
        return config.model_copy(
            update={
                "model": self.model,
                "optimizer": self.optimizer,
                "schedule": self.schedule,
                "loss": self.loss or config.loss,
                "training": config.training.model_copy(update=dict(self.training)),
                "data": config.data.model_copy(update={"scale": Component(name=self.scale)}),
            }
        )


def tuned_defaults(task: Task, n_rows: int) -> tuple[TunedDefault, ...]:
    """Return the published configurations for a task and a number of rows."""
    return (*_tabm(n_rows), _mlp(n_rows), _real_mlp(task))


def tuned_starts(study: Study, n_rows: int) -> Iterator[tuple[TunedDefault, Assignment]]:
    """Yield the published configurations of a study's models, within its ranges.

    A value that is fixed in the study, or out of its range, is left out.

    Args:
        study: a completed study file.
        n_rows: number of rows that are searched on.
    """
    first = study.first_config
    seen: list[Assignment] = []
    for default in tuned_defaults(study.task, n_rows):
        found = match(study.tree, default.applied_to(first), {}, nearest=True)
        needed = (f"another model.{default.model.name}.{name}" for name in default.needed)
        if {"another model", *needed}.isdisjoint(found.misfits) and found.answers not in seen:
            seen.append(found.answers)
            yield default, found.answers


def _component(name: str, **arguments: Any) -> Component:
    return Component(name=name, arguments=arguments)


def _paper_training(n_rows: int) -> dict[str, Any]:
    """Return the training of the TabM paper, whose batches grow with the data."""
    batch_size = 256 if n_rows < 30_000 else 512 if n_rows < 200_000 else 1024
    return {"batch_size": batch_size, "clip_norm": 1.0}


def _tabm(n_rows: int) -> Iterator[TunedDefault]:
    """Yield the defaults of TabM with piecewise-linear embeddings, and without any.

    https://github.com/yandex-research/tabm, README, "Default hyperparameters", and the example of
    the package.
    """
    optimizer = _component("AdamW", lr=0.002, weight_decay=0.0003)
    sizes = {"k": 32, "d_block": 512, "dropout": 0.1}
    embedded = {"num_embeddings": "piecewise_linear", "num_size": 16, "n_bins": 48}
    for arguments in (
        {**sizes, "arch": "mini", "n_blocks": 2, **embedded},
        {**sizes, "arch": "tabm", "n_blocks": 3, "num_embeddings": None},
    ):
        model = Component(name="TabM", arguments=arguments)
        training = _paper_training(n_rows)
        yield TunedDefault(model, optimizer, training, "quantile", _TABM, ("num_embeddings",))


def _mlp(n_rows: int) -> TunedDefault:
    """Return medians over ten data sets of an MLP with piecewise-linear embeddings.

    https://github.com/yandex-research/tabm, exp/mlp-piecewiselinear: adult, black-friday,
    california, churn, covtype2, diamond, higgs-small, house, microsoft and otto.
    """
    model = _component(
        "MLP",
        width=736,
        depth=2,
        dropout=0.3,
        num_embeddings="piecewise_linear",
        num_size=20,
        n_bins=110,
    )
    optimizer = _component("AdamW", lr=0.00036, weight_decay=0.00065)
    training = _paper_training(n_rows)
    return TunedDefault(model, optimizer, training, "quantile", _TABM, ("num_embeddings",))


def _real_mlp(task: Task) -> TunedDefault:
    """Return RealMLP-TD, the defaults of the paper's tables for each task."""
    is_of_classes = task == "classification"
    model = _component(
        "RealMLP",
        width=256,
        depth=3,
        activation="SELU" if is_of_classes else "Mish",
        parametric=True,
        dropout=0.15,
        embed=8,
        num_embeddings="pbld",
        num_size=4,
        n_frequencies=16,
        frequency_scale=0.1,
        scale_lr=6.0,
        bias_lr=0.1,
        activation_lr=0.1,
        embedding_lr=0.1,
    )
    return TunedDefault(
        model,
        _component(
            "AdamW", lr=0.04 if is_of_classes else 0.2, weight_decay=0.02, betas=[0.9, 0.95]
        ),
        {"epochs": 256, "batch_size": 256, "decay": "weights", "fade_out": 0.5},
        "smooth_clip",
        _REAL_MLP,
        schedule=_component("CosLogLR", n_cycles=4),
        loss=_component("CrossEntropyLoss", label_smoothing=0.1) if is_of_classes else None,
    )
