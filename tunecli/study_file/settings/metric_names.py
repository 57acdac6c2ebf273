"""The metrics that a study file can name: their task, direction and arguments.

Does not import torch, so that study files and reports are read fast. `training/outcome/metrics.py`
computes metrics of predictions, `training/compression/costs.py` costs of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from tunecli.study_file.settings.code_names import short_name
from tunecli.study_file.settings.settings import Component, Direction, Task, TrialConfig


@dataclass(frozen=True)
class MetricNumber:
    """A number that a metric takes as an argument.

    Attributes:
        within: its bounds, as `[1, inf)`.
        default: None if it must be given; whole if the argument is.
    """

    within: str
    default: float | None = None


MetricArgument = tuple[str | None, ...] | MetricNumber
"""The words of an argument, of which the first is the default, or its numbers."""


@dataclass(frozen=True)
class MetricInfo:
    """One metric as scikit-learn or language modelling defines it, or one cost of a model.

    Attributes:
        tasks: the tasks that it measures; empty for a cost, which fits every task.
        direction: the direction of improvement.
        arguments: what each argument can be.
        lowest, highest: the range of possible values.
        needs: the rows without which it is not defined.
    """

    name: str
    tasks: tuple[Task, ...]
    direction: Direction
    arguments: Mapping[str, MetricArgument] = field(default_factory=dict)
    lowest: float = 0.0
    highest: float = 1.0
    needs: str = ""


_NO_TIME = 1e-12
"""Seconds; shorter than any computation."""

_AVERAGE: Mapping[str, MetricArgument] = {"average": ("macro", "micro", "weighted", "binary")}
"""A stored metric without an average has the first; for new ones, see `with_average`."""
_OF_AUC = {"average": ("macro", "weighted")}

_CLASSES: tuple[Task, ...] = ("classification",)
_VALUES: tuple[Task, ...] = ("regression",)
_TOKENS: tuple[Task, ...] = ("language_modeling",)
_LABELS: tuple[Task, ...] = ("multilabel",)
_CLASSES_OR_LABELS: tuple[Task, ...] = (*_CLASSES, *_LABELS)

METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo("accuracy", _CLASSES, "maximize"),
        MetricInfo("balanced_accuracy", _CLASSES, "maximize"),
        MetricInfo("precision", _CLASSES_OR_LABELS, "maximize", _AVERAGE),
        MetricInfo("recall", _CLASSES_OR_LABELS, "maximize", _AVERAGE),
        MetricInfo("f1", _CLASSES_OR_LABELS, "maximize", _AVERAGE),
        MetricInfo(
            "fbeta",
            _CLASSES_OR_LABELS,
            "maximize",
            {"beta": MetricNumber("(0, inf)"), **_AVERAGE},
        ),
        MetricInfo("top_k_accuracy", _CLASSES, "maximize", {"k": MetricNumber("[1, inf)", 2)}),
        MetricInfo(
            "roc_auc", _CLASSES_OR_LABELS, "maximize", _OF_AUC, needs="rows of every class"
        ),
        MetricInfo(
            "average_precision",
            _CLASSES_OR_LABELS,
            "maximize",
            _AVERAGE,
            needs="rows of every class",
        ),
        MetricInfo("log_loss", (*_CLASSES_OR_LABELS, *_TOKENS), "minimize", highest=inf),
        MetricInfo("brier", _CLASSES_OR_LABELS, "minimize", highest=2.0),
        MetricInfo("mcc", _CLASSES, "maximize", lowest=-1.0),
        MetricInfo(
            "cohen_kappa",
            _CLASSES,
            "maximize",
            {"weights": (None, "linear", "quadratic")},
            lowest=-1.0,
        ),
        MetricInfo("hamming", _LABELS, "minimize"),
        MetricInfo("subset_accuracy", _LABELS, "maximize"),
        MetricInfo("rmse", _VALUES, "minimize", highest=inf),
        MetricInfo("mse", _VALUES, "minimize", highest=inf),
        MetricInfo("mae", _VALUES, "minimize", highest=inf),
        MetricInfo("mape", _VALUES, "minimize", highest=inf, needs="targets other than 0"),
        MetricInfo(
            "pinball",
            _VALUES,
            "minimize",
            {"alpha": MetricNumber("[0, 1]", 0.5)},
            highest=inf,
        ),
        MetricInfo("r2", _VALUES, "maximize", lowest=-inf, needs="at least two rows"),
        MetricInfo("perplexity", _TOKENS, "minimize", lowest=1.0, highest=inf),
        MetricInfo("bits_per_byte", _TOKENS, "minimize", highest=inf),
        MetricInfo("token_accuracy", _TOKENS, "maximize"),
        MetricInfo("size", (), "minimize", lowest=1.0, highest=inf),  # bytes of the packed file
        MetricInfo("n_weights", (), "minimize", lowest=1.0, highest=inf),
        # multiplications with addition for one row
        MetricInfo("macs", (), "minimize", highest=inf),
        # seconds for one row
        MetricInfo("latency", (), "minimize", lowest=_NO_TIME, highest=inf),
        MetricInfo("zeros", (), "maximize"),  # share of the weights
    )
}

COSTS = frozenset(info.name for info in METRICS.values() if not info.tasks)
"""Metrics of the model alone, which need no targets."""


def metric_needs(name: str) -> str:
    """Return the rows that the metric stored as `name` needs; empty if it needs none."""
    return _NEEDS.get(name, "")


def argument_default(known: MetricArgument) -> str | float | None:
    """Return the default of an argument; None for a number that must be given."""
    return known.default if isinstance(known, MetricNumber) else known[0]


def must_be_given(known: MetricArgument) -> bool:
    """Return whether an argument has no default."""
    return isinstance(known, MetricNumber) and known.default is None


def argument(metric: Component, name: str) -> str | float | None:
    """Return the value given for an argument of `metric`, or its default."""
    value = metric.arguments.get(name, argument_default(METRICS[metric.name].arguments[name]))
    assert value is None or isinstance(value, str | int | float), "the study file was checked"
    return value


def argument_number(metric: Component, name: str) -> float:
    """Return the number given for an argument of `metric`, or its default."""
    value = argument(metric, name)
    assert isinstance(value, int | float), "it is a MetricNumber"
    return value


def label(metric: Component) -> str:
    """Return the name under which values are stored: `f1`, or `f1_micro` for `average: micro`.

    Two metrics have the same label if and only if they measure the same; the user's own metrics
    differ by their names and arguments, not by their files.
    """
    if metric.name not in METRICS:
        given = (f"{name}={value}" for name, value in metric.arguments.items())
        return "_".join([short_name(metric.name), *given])
    words = [metric.name]
    for name, known in METRICS[metric.name].arguments.items():
        value = argument(metric, name)
        if value != argument_default(known):
            words.append(str(value).removesuffix(".0"))
    return "_".join(words)


def _averages(info: MetricInfo) -> tuple[str | None, ...]:
    words = info.arguments.get("average", ())
    return () if isinstance(words, MetricNumber) else words


def has_average(metric: Component) -> bool:
    """Return whether a metric is of one class or an average over classes, as it says."""
    return metric.name in METRICS and "binary" in _averages(METRICS[metric.name])


def is_for(metric: Component, task: Task) -> bool:
    """Return whether a known metric measures predictions of a task; costs do not."""
    return metric.name in METRICS and task in METRICS[metric.name].tasks


def tasks_in_words(name: str) -> str:
    """Return the tasks of a metric: `regression`, `classification or multilabel`."""
    *others, last = METRICS[name].tasks
    return f"{', '.join(others)} or {last}" if others else last


def is_binary(metric: Component) -> bool:
    """Return whether a metric scores the positive class alone."""
    return has_average(metric) and argument(metric, "average") == "binary"


def written_label(metric: Component) -> str:
    """Return the label of a metric as written, whose average may depend on the data."""
    is_open = has_average(metric) and "average" not in metric.arguments
    return f"{label(metric)} by default" if is_open else label(metric)


def with_average(metric: Component, *, of_two: bool) -> Component:
    """Return a metric that says its average.

    Args:
        of_two: whether the data has a positive class, so that `binary` is the default, not
            `macro`.
    """
    if not has_average(metric) or "average" in metric.arguments:
        return metric
    average = "binary" if of_two else "macro"
    return Component(name=metric.name, arguments={**metric.arguments, "average": average})


def title(metric: Component, positive: str | None) -> str:
    """Return a metric's label for people, with what it averages or counts.

    Such as `f1 of 'yes'`, `f1 (macro)` and `top_k_accuracy (k=2)`. The average of `roc_auc` is
    left out if there is a positive class: with two classes there is nothing to average.
    """
    if metric.name == "top_k_accuracy":
        return f"{metric.name} (k={argument_number(metric, 'k'):g})"
    averages = _averages(METRICS[metric.name]) if metric.name in METRICS else ()
    if not averages or (positive is not None and not has_average(metric)):
        return label(metric)
    name = label(_without_average(metric))
    if is_binary(metric) and positive is not None:
        return f"{name} of {positive!r}"
    return f"{name} ({argument(metric, 'average')})"


def titles(config: TrialConfig) -> dict[str, str]:
    """Return the titles of a trial's metrics by their labels, where the two differ.

    The user's own training may give any meaning to a name.
    """
    if config.train is not None:
        return {}
    named = {label(metric): title(metric, config.data.positive) for metric in _named(config)}
    return {name: text for name, text in named.items() if name != text}


def _needs(metric: Component) -> str:
    return "rows of the positive class" if is_binary(metric) else METRICS[metric.name].needs


_NEEDS = {
    label(metric): _needs(metric)
    for info in METRICS.values()
    if info.needs
    for arguments in ({}, *({"average": word} for word in _averages(info)))
    for metric in (Component(name=info.name, arguments=arguments),)
    if arguments != {"average": "micro"}
}
"""The rows that metrics need, by label."""


def prediction_metrics(config: TrialConfig) -> tuple[Component, ...]:
    """Return the metrics of predictions: the first objective, then all others, each once."""
    return tuple(metric for metric in _named(config) if not _is_cost(metric, config))


_OF_EACH_TARGET: Mapping[Task, tuple[str, ...]] = {
    "regression": ("rmse", "r2"),
    "multilabel": ("f1", "precision", "recall", "average_precision"),
}
"""Metrics by which each of several targets is always scored."""


def target_metrics(config: TrialConfig, task: Task) -> tuple[Component, ...]:
    """Return the metrics of one of several targets: those of every study, then the study's own.

    They say no average: there is only one target. User code takes all targets at once.
    """
    usual = (Component(name=name) for name in _OF_EACH_TARGET.get(task, ()))
    wanted = (metric for metric in prediction_metrics(config) if is_for(metric, task))
    metrics = (*usual, *map(_without_average, wanted))
    return tuple({label(metric): metric for metric in metrics}.values())


def target_label(metric: Component) -> str:
    """Return the name of a study's metric among those of one of several targets."""
    return label(_without_average(metric))


def _without_average(metric: Component) -> Component:
    others = {name: value for name, value in metric.arguments.items() if name != "average"}
    return Component(name=metric.name, arguments=others)


def metric_directions(config: TrialConfig) -> dict[str, Direction]:
    """Return the directions of a study's metrics of predictions by label, without its own."""
    known = (metric for metric in prediction_metrics(config) if metric.name in METRICS)
    return {label(metric): METRICS[metric.name].direction for metric in known}


def cost_metrics(config: TrialConfig) -> tuple[str, ...]:
    """Return the metrics of `COSTS` that a trial's study names."""
    return tuple(metric.name for metric in _named(config) if _is_cost(metric, config))


def _named(config: TrialConfig) -> tuple[Component, ...]:
    """Return the metrics of a study's objectives, those it shows and those it limits."""
    optimized = [objective.metric for objective in config.objectives]
    limited = [constraint.metric for constraint in config.constraints]
    return tuple({label(m): m for m in (*optimized, *config.metrics, *limited)}.values())


def _is_cost(metric: Component, config: TrialConfig) -> bool:
    """Return whether a metric is a cost; the user's own training may reuse the names of costs."""
    return metric.name in COSTS and config.train is None
