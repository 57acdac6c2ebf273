"""The sections that hold no range, from `study` over `data` and `objective` to `search`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Any

from tunecli.study_file import catalogue, source_kinds, user_code
from tunecli.study_file.catalogue import Kind
from tunecli.study_file.document import Path, dotted
from tunecli.study_file.grammar import Grammar, Role, has_ranges, is_none, searches_source
from tunecli.study_file.metrics import COSTS, METRICS, label
from tunecli.study_file.naming import STUDY_NAME
from tunecli.study_file.number_ranges import RangeMistakeError, kind_of_range
from tunecli.study_file.plain import inline
from tunecli.study_file.search_rules import (
    lesson_mistakes,
    multi_objective_mistakes,
    search_mistakes,
)
from tunecli.study_file.settings import (
    Component,
    Constraint,
    DataSettings,
    Direction,
    Objective,
    SearchSettings,
    Task,
    ValidationSettings,
)
from tunecli.study_file.space import Resolved, resolve_slots
from tunecli.study_file.suggestions import did_you_mean
from tunecli.study_file.tree import Named
from tunecli.study_file.units import in_base_unit
from tunecli.study_file.user_code import is_code
from tunecli.study_file.wording import AnySettings, validated

SECTIONS = (
    "study",
    "seed",
    "data",
    "validation",
    "model",
    "loss",
    "optimizer",
    "schedule",
    "train",
    "training",
    "compression",
    "objective",
    "constraints",
    "metrics",
    "search",
    "variant",
)
"""All sections of a study file, in the order in which it is printed."""

_LARGEST_SEED = 2**32 - 1

_RANGE = object()
"""What is left of a range where none may stand."""


@dataclass(frozen=True)
class Sections:
    """What every trial of a study shares.

    Attributes:
        data: `scale` is left at its default; it belongs to the tree, and so do `arguments` with a
            range among them.
        start_with: as written.
        task: of the data, if it is known without reading it.
    """

    name: str
    seed: int = 0
    data: DataSettings | None = None
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    metrics: tuple[Component, ...] = ()
    search: SearchSettings = field(default_factory=SearchSettings)
    start_with: Any = None
    task: Task | None = None


class SectionReader:
    """Reads those sections, and reports what is wrong with them.

    Args:
        folder: where files that the study names are looked up; None to believe that they exist.
    """

    def __init__(
        self, data: dict[str, Any], file: str, grammar: Grammar, folder: FilePath | None = None
    ) -> None:
        self._data = data
        self._file = file
        self._folder = folder
        self._grammar = grammar
        self._problems = grammar.problems
        self._has_own_training = not is_none(data.get("train"))

    def read(self) -> Sections:
        """All of them; where something is wrong, the default stands in."""
        data = self._read_data()
        validation = self._read_validation()
        if data is not None:
            self._check_source(data, validation)
        search = self._section("search", self._data.get("search"))
        start_with = search.pop("start_with", None)
        objectives = self._read_objectives(self._data.get("objective"))
        return Sections(
            name=self._read_name(),
            seed=self._read_seed(),
            data=data,
            validation=validation,
            objectives=objectives,
            constraints=self._read_constraints(self._data.get("constraints")),
            metrics=self._read_metrics(self._data.get("metrics"), objectives),
            search=self._read_search(search, objectives) or SearchSettings(),
            start_with=start_with,
            task=source_kinds.task_of(data) if data else None,
        )

    def _read_name(self) -> str:
        given = self._data.get("study")
        name = PurePath(self._file).stem if given is None else given
        if not isinstance(name, str) or not STUDY_NAME.match(name):
            rule = "a study's name has letters, digits, `-`, `_` and `.`, at most 100 of them, and"
            advice = "" if given is not None else " It is the file's name: write study: NAME."
            message = f"{rule} does not begin with a dot, but got {inline(name)}.{advice}"
            self._problems.add(("study",), message)
            return ""
        return name

    def _read_seed(self) -> int:
        seed = self._data.get("seed", 0)
        is_whole = isinstance(seed, int) and not isinstance(seed, bool)
        if not is_whole or not 0 <= seed <= _LARGEST_SEED:
            rule = f"must be a whole number from 0 to {_LARGEST_SEED}"
            self._problems.add(("seed",), f"{rule}, but got {inline(seed)}.")
            return 0
        return int(seed)

    def _read_data(self) -> DataSettings | None:
        given = self._data.get("data")
        if self._has_own_training and is_none(given):
            return DataSettings(source=source_kinds.NO_SOURCE)
        if given is None:
            message = "required, but not given. For example `data: digits`."
            self._problems.add(("data",), message)
            return None
        section = self._section("data", {"source": given} if isinstance(given, str) else given)
        for slot in ("scale", "augment"):
            section.pop(slot, None)
        source = section.get("source")
        if searches_source(given):
            section["source"] = next(iter(given["source"]))
        elif isinstance(source, dict) and len(source) == 1:  # code with its arguments
            [(section["source"], arguments)] = source.items()
            section["arguments"] = {} if is_none(arguments) else arguments
        return self._settings(DataSettings, section, ("data",))

    def _check_source(self, data: DataSettings, validation: ValidationSettings) -> None:
        """Report what the source is not, and what does not belong to what it is."""
        if data.source == source_kinds.NO_SOURCE:
            if self._has_own_training and is_none(self._data.get("objective")):
                message = "required without data, as {maximize: NAME} of what `train` reports."
                self._problems.add(("objective",), message)
            return
        at: Path = ("data",) if isinstance(self._data["data"], str) else ("data", "source")
        kind = source_kinds.kind_of(data.source)
        if kind is None:
            self._problems.add(at, source_kinds.unknown_source(data.source, self._folder))
            return
        if kind == "code" and not searches_source(self._data["data"]):
            function = Component(name=data.source, arguments=data.arguments)
            for below, message in user_code.mistakes("data", function, self._grammar.code):
                self._problems.add_new((*at, data.source, *below) if below else at, message)
        if data.weights is not None and self._has_own_training:
            message = (
                "is for tunecli's own loop. Weigh the rows in your function, and leave it out."
            )
            self._problems.add_new(("data", "weights"), message)
        for place, message in source_kinds.misplaced(kind, data, validation):
            self._problems.add_new(place, message)
        if self._folder is None or kind not in ("table", "arrays", "pictures"):
            return
        files: dict[Path, str | float | None] = {at: data.source}
        files["data", "test"] = data.test
        files["validation", "file"] = validation.file
        files["validation", "folder"] = validation.folder
        for path, file in files.items():
            if isinstance(file, str):
                if kind == "pictures" and (self._folder / data.source / file).is_dir():
                    continue  # val, beside the class folders
                missing = source_kinds.missing_file(file, self._folder, kind)
                if missing is not None:
                    self._problems.add_new(path, missing)

    def _read_validation(self) -> ValidationSettings:
        section = self._section("validation", self._data.get("validation"))
        settings = self._settings(ValidationSettings, section, ("validation",))
        if settings is None:
            return ValidationSettings()
        ways = ("folds", "holdout", "file", "column", "folder")
        given = [way for way in ways if section.get(way) is not None]  # whatever it is
        if len(given) > 1:
            all_of_them = "both" if len(given) == 2 else "all"
            message = f"{' or '.join(given)}, but not {all_of_them}. Remove one of them."
            self._problems.add(("validation", given[1]), message)
        elif given and given != ["folds"] and settings.repeats > 1:
            message = "repeats goes with folds only. Remove it, or write folds."
            self._problems.add(("validation", given[0]), message)
        return settings

    def _read_objectives(self, data: Any) -> tuple[Objective, ...]:
        at: Path = ("objective",)
        if is_none(data):
            return ()
        if not isinstance(data, list):
            one = self._read_objective(data, at)
            return (one,) if one and not self._is_cost_alone(one, (*at, one.direction)) else ()
        read = [(i, self._read_objective(one, (*at, i))) for i, one in enumerate(data)]
        found: dict[str, Objective] = {}
        for index, one in read:
            if one is None:
                continue
            if label(one.metric) in found:
                message = f"{one.metric.name} stands twice. Remove one of the two."
                self._problems.add_new((*at, index), message)
            found[label(one.metric)] = one
        objectives = tuple(found.values())
        if not objectives and not data:
            self._problems.add(at, "an empty list. Write {maximize: accuracy}, or leave it out.")
        elif read[0][1] and self._is_cost_alone(objectives[0], (*at, 0, objectives[0].direction)):
            return ()
        return objectives

    def _is_cost_alone(self, first: Objective, at: Path) -> bool:
        """Report a first objective that has no curve: no trial could be judged while it trains."""
        if first.metric.name not in COSTS or self._has_own_training:
            return False
        message = (
            f"{first.metric.name} is known of a model that never saw a row, so it cannot be the "
            f"first objective. Write [{{maximize: accuracy}}, {{{first.direction}: "
            f"{first.metric.name}}}], with the metric that matters in front."
        )
        self._problems.add_new(at, message)
        return True

    def _read_objective(self, data: Any, at: Path) -> Objective | None:
        if not isinstance(data, dict) or len(data) != 1:
            example = "{maximize: accuracy} or {minimize: rmse}"
            self._problems.add(at, f"is written {example}, but got {inline(data)}.")
            return None
        direction, metric = next(iter(data.items()))
        at = (*at, direction)
        if direction not in ("minimize", "maximize"):
            hint = did_you_mean(direction, ("minimize", "maximize")) or " Write one of them."
            message = f"must be `minimize` or `maximize`, but got {inline(direction)}.{hint}"
            self._problems.add(at, message, of_key=True)
            self._component(metric, at, "metric", optional=False)
            return None
        component = self._component(metric, at, "metric", optional=False)
        return self._objective(direction, component, at) if component else None

    def _objective(self, direction: Direction, metric: Component, at: Path) -> Objective | None:
        better = METRICS[metric.name].direction if metric.name in METRICS else direction
        if direction != better:
            sense = "higher" if better == "maximize" else "lower"
            message = f"{metric.name} is better when {sense}. Write {better}: {metric.name}."
            self._problems.add(at, message, of_key=True)
            return None
        return Objective(direction=direction, metric=metric)

    def _read_constraints(self, data: Any) -> tuple[Constraint, ...]:
        if is_none(data):
            return ()
        if not isinstance(data, dict):
            example = "{n_weights: {max: 100000}, size: {max: 200KB}}"
            message = f"limits by metric, as {example}, but got {inline(data)}."
            self._problems.add(("constraints",), message)
            return ()
        read = [self._read_constraint(name, limits) for name, limits in data.items()]
        return tuple(one for one in read if one is not None)

    def _read_constraint(self, name: Any, limits: Any) -> Constraint | None:
        at: Path = ("constraints", name)
        metric = self._component(name, at, "metric", optional=False)
        if not isinstance(limits, dict) or not limits:
            message = f"is written {{min: …}}, {{max: …}} or both, but got {inline(limits)}."
            self._problems.add_new(at, message)
            return None
        limits = self._without_ranges(limits, at)
        if limits is _RANGE or metric is None:
            return None
        in_units = {key: in_base_unit(value, metric.name) for key, value in limits.items()}
        constraint = self._settings(Constraint, {"metric": metric, **in_units}, at)
        if constraint is None:
            return None
        low, high = constraint.min, constraint.max
        if low is not None and high is not None and low > high:
            message = f"min is above max: {low:g} and {high:g}. No trial could keep to both."
            self._problems.add_new((*at, "min"), message)
        return constraint

    def _read_metrics(self, data: Any, objectives: Sequence[Objective]) -> tuple[Component, ...]:
        if is_none(data):
            return ()
        if not isinstance(data, list):
            message = f"must be a list of metrics, as [f1, log_loss], but got {inline(data)}."
            self._problems.add(("metrics",), message)
            return ()
        found: dict[str, Component] = {}
        for index, written in enumerate(data):
            at: Path = ("metrics", index)
            metric = self._component(written, at, "metric", optional=False)
            if metric is None:
                continue
            if label(metric) in found and not self._problems.lie_in(at):
                self._problems.add(at, f"{metric.name} stands twice. Remove one of the two.")
            found[label(metric)] = metric
        for objective in objectives:
            found.pop(label(objective.metric), None)
        return tuple(found.values())

    def _read_search(
        self, section: dict[str, Any], objectives: Sequence[Objective]
    ) -> SearchSettings | None:
        given = dict(section)
        if len(objectives) > 1:  # what is behind in the first may be in front in another
            given.setdefault("pruner", "none")
        components: dict[str, Component | None] = {}
        kinds: dict[str, Kind] = {"sampler": "sampler", "pruner": "pruner"}
        for key in kinds.keys() & given.keys():
            at: Path = ("search", key)
            written = given.pop(key)
            components[key] = self._component(written, at, kinds[key], optional=key == "pruner")
        settings = self._settings(SearchSettings, given, ("search",), also=("start_with",))
        kept = {key: c for key, c in components.items() if c is not None or key == "pruner"}
        if settings is None:
            return None
        read = settings.model_copy(update=kept)
        for mistake in lesson_mistakes(read):
            self._problems.add_new(("search", "learn_from"), mistake)
        for setting, mistake in multi_objective_mistakes(read) if len(objectives) > 1 else ():
            self._problems.add_new(("search", setting), mistake)
        return read

    # What the sections share

    def _section(self, name: str, data: Any) -> dict[str, Any]:
        """A section's mapping, without the parts that hold ranges; those are reported."""
        if is_none(data):
            return {}
        if not isinstance(data, dict):
            message = f"must be a mapping of settings, but got {inline(data)}."
            self._problems.add((name,), message)
            return {}
        apart = {"scale", "augment"} if name == "data" else {"start_with", "sampler", "pruner"}
        if name == "data" and searches_source(data):
            apart.add("source")
        kept = {}
        for key, value in data.items():
            without = value if key in apart else self._without_ranges(value, (name, key))
            if without is not _RANGE:
                kept[key] = without
        return kept

    def _without_ranges(self, data: Any, at: Path) -> Any:
        """The same data without its ranges, which are reported; `_RANGE` if it is one."""
        if not has_ranges(data):
            return data
        if _is_range(data):
            where = (
                "model, loss, optimizer, schedule, training, compression, data.scale, "
                "data.augment, variant, and the arguments of a function that is data.source"
            )
            message = f"a range may not stand in {dotted(at[:2])}. Ranges stand in {where}."
            self._problems.add(at, f"{message} Write a value.")
            return _RANGE
        entries = data.items() if isinstance(data, dict) else enumerate(data)
        walked = {key: self._without_ranges(value, (*at, key)) for key, value in entries}
        kept = {key: value for key, value in walked.items() if value is not _RANGE}
        return kept if isinstance(data, dict) else list(kept.values())

    def _settings(
        self,
        settings: type[AnySettings],
        data: dict[str, Any],
        at: Path,
        also: tuple[str, ...] = (),
    ) -> AnySettings | None:
        found, mistakes = validated(settings, data, also)
        for path, message in mistakes:
            place = (*at, *path)
            if not self._problems.cover(place) and not self._problems.lie_in(place):
                self._problems.add(place, message, of_key=True)
        return found

    def _component(self, data: Any, at: Path, kind: Kind, optional: bool) -> Component | None:
        """A component without ranges; without arguments, too, if some of them are wrong.

        None if it is left out, or if there is no such component.
        """
        written = self._without_ranges(data, at)
        if written is _RANGE:
            return None
        if kind == "metric" and self._has_own_training and is_metric_name(written):
            return Component(name=written)  # whatever the training reports under it
        node = self._grammar.component(written, Role(kind, at, dotted(at), optional))
        if not isinstance(node, Named):
            return None
        slot = tuple(str(step) for step in at)
        resolved = resolve_slots({slot: node}, lambda name, range_: None)
        component: Component = resolved.values[slot]
        report_arguments(kind, component, slot, resolved, self._grammar)
        mistakes = search_mistakes(component) if kind in ("sampler", "pruner") else ()
        for path, message in mistakes:
            self._problems.add_new(resolved.place((*slot, *path)), message)
        is_right = not self._problems.lie_in(at)
        return component if is_right else component.model_copy(update={"arguments": {}})


def report_arguments(
    kind: Kind, component: Component, slot: Path, resolved: Resolved, grammar: Grammar
) -> bool:
    """Report what is wrong with a component's arguments; whether anything is."""
    given = {str(place[-1]) for place in resolved.places if place[:-1] == slot}
    if is_code(component.name):
        mistakes = user_code.mistakes(kind, component, grammar.code, given)
    else:
        mistakes = catalogue.argument_problems(kind, component, given)
    for path, message in mistakes:
        grammar.problems.add_new(resolved.place((*slot, *path)), message)
    return bool(mistakes)


def is_metric_name(written: Any) -> bool:
    """Whether a training of the user's own could report a number under this name."""
    return (
        isinstance(written, str) and re.fullmatch(r"[A-Za-z_][\w@/-]{0,63}", written) is not None
    )


def _is_range(data: Any) -> bool:
    """Whether `data` itself is a range, or meant as one."""
    try:
        return isinstance(data, dict) and kind_of_range(data) is not None
    except RangeMistakeError:
        return True
