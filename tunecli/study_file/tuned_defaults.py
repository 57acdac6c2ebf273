"""Configurations of models for tables that their authors tuned on many data sets.

`search.start_with: tuned` tries those that fit a study's models and its data first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.locate_config import match, place_of
from tunecli.study_file.read_start_with import Assignment
from tunecli.study_file.settings.settings import Component, Task, TrialConfig
from tunecli.study_file.space.tree import Named, Plain, Tree, every_node, subtree
from tunecli.study_file.space.walk import VARIANT
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.problems import Problems
from tunecli.study_file.text.suggestions import listed

if TYPE_CHECKING:
    from tunecli.study_file.study_file import Study

TUNED_MODELS = ("MLP", "TabM", "RealMLP")
"""Models with published defaults."""
_TABM = "Gorishniy et al. 2025, arXiv:2410.24210"
_REAL_MLP = "Holzmüller et al. 2024, arXiv:2407.04491"


@dataclass(frozen=True)
class TunedDefault:
    """A published configuration.

    Attributes:
        needed: arguments of the model without which the rest of it would not be good.
        computed: arguments of the model that have their published value where they are left out.
        training: settings of `training`.
        source: where it is from, in a few words.
    """

    model: Component
    optimizer: Component
    training: Mapping[str, Any]
    scale: str
    source: str
    needed: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    schedule: Component | None = None
    loss: Component | None = None

    @property
    def needed_places(self) -> tuple[str, ...]:
        """The names of `needed` in a configuration."""
        return tuple(f"model.{self.model.name}.{name}" for name in self.needed)

    @property
    def values(self) -> Mapping[tuple[str, str], Any]:
        """The published values by section and setting."""
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"loss": self.loss} if self.loss is not None else {}
        values: dict[tuple[str, str], Any] = {("data", "scale"): self.scale}
        for section, component in parts.items():
            values[section, section] = component and component.name
            arguments = component.arguments if component is not None else {}
            values |= {(section, name): value for name, value in arguments.items()}
        return values | {("training", name): value for name, value in self.training.items()}

    def as_computed(self, tree: Tree) -> set[tuple[str, str]]:
        """Return the values that a model has in a study because they are not written there."""
        nodes = [node for node in every_node(tree) if isinstance(node, Named)]
        models = [node for node in nodes if node.component == self.model.name]
        written = {name for node in models for name in node.arguments}
        return {("model", name) for name in {*self.computed} - written}

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


@dataclass(frozen=True)
class TunedStart:
    """A published configuration within the ranges of a study.

    Attributes:
        point: the values that the first trial takes.
        left_out: the published values that the study does not allow, such as `k 32`.
    """

    default: TunedDefault
    point: Assignment
    left_out: tuple[str, ...]


def tuned_starts(study: Study, n_rows: int) -> Iterator[TunedStart]:
    """Yield the published configurations of a study's models, within its ranges.

    A value that is fixed in the study, or out of its range, is left out.

    Args:
        study: a completed study file.
        n_rows: number of rows that are searched on.
    """
    seen: list[Assignment] = []
    for default in tuned_defaults(study.task, n_rows):
        needed = {"another model", *map("another {}".format, default.needed_places)}
        config = default.applied_to(study.first_config)
        found = match(study.tree, config, {}, avoided=frozenset(needed))
        values = default.values
        point = {
            name: value
            for name, value in found.answers.items()
            if name == VARIANT or _part(name) in values
        }
        if needed.isdisjoint(found.misfits) and point and point not in seen:
            seen.append(point)
            parts = [_part(place_of(misfit)) for misfit in found.misfits]
            missing = [
                part
                for part in parts
                if part in values and part not in default.as_computed(study.tree)
            ]
            left_out = (f"{part[-1]} {_text(values[part])}" for part in missing)
            yield TunedStart(default, point, tuple(left_out))


def _text(value: object) -> str:
    return "none" if value is None else flow(value)


def _part(name: str) -> tuple[str, str]:
    """Return the section and the setting of a parameter or part: of `model.MLP.width.or`, too."""
    steps = re.sub(r"\.or$|\[\d+\]", "", name).split(".")
    return steps[0], steps[-1]


def check_tuned(tree: Tree, problems: Problems) -> None:
    """Report it if no published configuration fits a model of the study."""
    at = ("search", "start_with")
    named = [n for n in every_node(tree) if isinstance(n, Named) and n.kind == "model"]
    models = [node for node in named if node.component in TUNED_MODELS]
    if not models:
        known = listed(TUNED_MODELS)
        problems.add(at, f"tuned has defaults only for {known}. List configurations instead.")
        return
    reasons = [_why_not(node) for node in models]
    if all(reasons):
        problems.add(at, f"{reasons[0]}, or list configurations instead.")


def _why_not(node: Named) -> str:
    """Return why no published configuration fits a model; empty if one does."""
    defaults = [one for one in tuned_defaults("regression", 0) if one.model.name == node.component]
    for name in defaults[0].needed:
        published = [one.model.arguments[name] for one in defaults]
        known = signature("model", node.component).argument(name)
        written = node.arguments.get(name) or Plain(known.default if known is not None else None)
        offered = [one.value for one in subtree(written) if isinstance(one, Plain)]
        if not any(value in published for value in offered):
            got, good = (" or ".join(map(_text, values)) for values in (offered, published))
            sentence = f"tuned has no defaults for {node.component} with {name}: {got}"
            return f"{sentence}. Write {name}: {good}"
    return ""


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
        yield TunedDefault(
            model, optimizer, training, "quantile", _TABM, ("num_embeddings",), ("n_blocks",)
        )


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
