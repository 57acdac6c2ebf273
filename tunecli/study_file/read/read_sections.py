"""Read the sections without ranges, such as `study`, `data`, `objective` and `search`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import isdir
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Any

from tunecli.numerics import NUMERICS
from tunecli.study_file.catalogue import allowed_code
from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.read.pydantic_messages import without_exponent
from tunecli.study_file.read.read_components import Grammar, searches_source
from tunecli.study_file.read.read_objectives import ObjectiveReader
from tunecli.study_file.read.sampler_rules import lesson_mistakes, multi_objective_mistakes
from tunecli.study_file.read.study_name import STUDY_NAME
from tunecli.study_file.settings import source_kinds
from tunecli.study_file.settings.search_settings import AUTO, SearchSettings
from tunecli.study_file.settings.setting_types import LARGEST_SEED, MOST_FOLDS
from tunecli.study_file.settings.settings import (
    Component,
    Constraint,
    DataSettings,
    Objective,
    Task,
    ValidationSettings,
)
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.space.tree import DATA_SLOTS
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import inline

SECTIONS = (
    *("study", "seed", "data", "validation", "model", "loss", "optimizer", "schedule", "train"),
    *("training", "compression", "objective", "constraints", "metrics", "search", "variant"),
)
"""All sections of a study file, in the order of printed files."""


@dataclass(frozen=True, kw_only=True)
class Sections:
    """The settings that every trial of a study shares.

    Attributes:
        name: the name of the study.
        seed: the seed of sampling and training; it does not affect the folds.
        shared_data: the data settings; those in `DATA_SLOTS`, and `arguments` with ranges, are in
            the tree.
        validation: open until the study is completed unless the file sets it.
        objectives: all objectives, in order; empty until the study is completed unless the file
            sets them.
        tolerance: difference in the objective's score that does not matter; None for the default.
        constraints: the limits of every trial.
        metrics: other metrics to measure.
        named_metrics: every metric that the file names, with its place.
        written_start: `search.start_with` as written.
        task: the task of the data, if it is known without reading it.
        numerics: version of tunecli's arithmetic; a resumed study keeps its own.
    """

    name: str
    seed: int = 0
    shared_data: DataSettings
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    objectives: tuple[Objective, ...] = ()
    tolerance: float | None = None
    constraints: tuple[Constraint, ...] = ()
    metrics: tuple[Component, ...] = ()
    named_metrics: tuple[tuple[Path, Component], ...] = field(default=(), compare=False)
    search: SearchSettings = field(default_factory=SearchSettings)
    written_start: Any = None
    task: Task | None = None
    numerics: int = field(default=NUMERICS, compare=False)


_ONLY_OWN_LOOP = {
    "weights": "Weight the rows in your function, and leave this out.",
    "targets": "Write target: COLUMN, or read the other columns in your function.",
}
"""Settings that the user's own training does not support, and what to do."""


class SectionReader:
    """A reader of these sections, which reports their mistakes.

    Args:
        folder: the folder that files of the study are relative to; None to assume that they exist.
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
        self._parts = ObjectiveReader(grammar, has_own_training=self._has_own_training)

    def read(self) -> Sections:
        """Return all sections, with defaults instead of wrong values."""
        data = self._read_data()
        validation = self._read_validation()
        if data is None:
            data = DataSettings(source="")
        else:
            self._check_source(data, validation)
        search = self._parts.section("search", self._data.get("search"))
        written_start = search.pop("start_with", None)
        objectives = self._parts.objectives(self._data.get("objective"))
        constraints = self._parts.constraints(self._data.get("constraints"))
        metrics = self._parts.metrics(self._data.get("metrics"), objectives)
        return Sections(
            name=self._read_name(),
            seed=self._read_seed(),
            shared_data=data,
            validation=validation,
            objectives=objectives,
            tolerance=self._parts.tolerance,
            constraints=constraints,
            metrics=metrics,
            named_metrics=tuple(self._parts.named),
            search=self._read_search(search, objectives) or SearchSettings(),
            written_start=written_start,
            task=source_kinds.task_of(data),
        )

    def _read_name(self) -> str:
        given = self._data.get("study")
        name = PurePath(self._file).stem if is_none(given) else given
        if not isinstance(name, str) or not STUDY_NAME.match(name):
            rule = "Use up to 100 letters, digits, `-`, `_` and `.`; do not start with a dot."
            of_file = " Without the setting study, the file's name is used. Write study: NAME."
            advice = of_file if is_none(given) else ""
            message = f"{inline(name)} is not a valid study name. {rule}{advice}"
            self._problems.add(("study",), message)
            return ""
        return name

    def _read_seed(self) -> int:
        seed = self._data.get("seed", 0)
        if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
            rule = f"must be a whole number from 0 to {LARGEST_SEED}"
            hint = without_exponent(seed)
            self._problems.add(("seed",), f"{rule}, but got {inline(seed)}.{hint}")
            return 0
        return seed

    def _read_data(self) -> DataSettings | None:
        given = self._data.get("data")
        if self._has_own_training and is_none(given):
            return DataSettings(source=source_kinds.NO_SOURCE)
        if is_none(given):
            message = "required, but missing. For example `data: digits`."
            self._problems.add(("data",), message)
            return None
        assert given is not None
        section = self._parts.section(
            "data", {"source": given} if isinstance(given, str) else given
        )
        for slot in DATA_SLOTS:
            section.pop(slot, None)
        source = section.get("source")
        if searches_source(given):
            section["source"] = next(iter(given["source"]))
        elif isinstance(source, dict) and len(source) == 1:  # code with its arguments
            [(section["source"], arguments)] = source.items()
            section["arguments"] = {} if is_none(arguments) else arguments
        return self._parts.settings(DataSettings, section, ("data",))

    def _check_source(self, data: DataSettings, validation: ValidationSettings) -> None:
        """Report mistakes in the source, and settings that do not apply to it."""
        if data.source == source_kinds.NO_SOURCE:
            if self._has_own_training and is_none(self._data.get("objective")):
                message = (
                    "required without data. Write {maximize: NAME}, where NAME is a metric that "
                    "your train function reports."
                )
                self._problems.add(("objective",), message)
            return
        at: Path = ("data",) if isinstance(self._data["data"], str) else ("data", "source")
        kind = source_kinds.kind_of_data(data)
        if kind is None:
            self._problems.add(at, source_kinds.unknown_source(data.source, self._folder))
            return
        if kind == "code" and not searches_source(self._data["data"]):
            function = Component(name=data.source, arguments=data.arguments)
            for below, message in allowed_code.mistakes("data", function, self._grammar.code):
                self._problems.add_new((*at, data.source, *below) if below else at, message)
        for name, way in _ONLY_OWN_LOOP.items() if self._has_own_training else ():
            if getattr(data, name):
                message = f"applies only to tunecli's own training loop. {way}"
                self._problems.add_new(("data", name), message)
        if kind != "pictures" or self._is_there(data.source):  # otherwise its kind is a guess
            for setting, message in source_kinds.misplaced(kind, data, validation):
                self._problems.add_new(setting, message)
        if self._folder is None or kind not in ("table", "arrays", "corpus", "pictures"):
            return
        files: dict[Path, str | float | None] = {at: data.source}
        files["data", "test"] = data.test
        files["validation", "file"] = validation.file
        files["validation", "folder"] = validation.folder
        for path, file in files.items():
            if isinstance(file, str):
                if kind == "pictures" and isdir(self._folder / data.source / file):
                    continue  # val, next to the class folders
                missing = source_kinds.missing_file(file, self._folder, kind)
                if missing is not None:
                    self._problems.add_new(path, missing)

    def _is_there(self, pictures: str) -> bool:
        if self._folder is None:
            return True
        return source_kinds.missing_file(pictures, self._folder, "pictures") is None

    def _read_validation(self) -> ValidationSettings:
        section = self._parts.section("validation", self._data.get("validation"))
        settings = self._parts.settings(ValidationSettings, section, ("validation",))
        if settings is None:
            return ValidationSettings()
        ways = ("folds", "holdout", "file", "column", "folder")
        given = [
            way for way in ways if section.get(way) is not None
        ]  # even if its value is invalid
        if len(given) > 1:
            message = f"only one of {' and '.join(given)} is allowed. Keep one of them."
            self._problems.add(("validation", given[1]), message)
        elif given and given != ["folds"] and settings.repeats > 1:
            message = "repeats requires folds. Remove it, or write folds."
            self._problems.add(("validation", given[0]), message)
        elif (settings.folds or 1) * settings.repeats > MOST_FOLDS:
            n_folds = f"{settings.folds:,} folds repeated {settings.repeats:,} times"
            message = f"a trial has at most {MOST_FOLDS:,} folds, but got {n_folds}."
            self._problems.add_new(("validation", "repeats"), message)
        return settings

    def _read_search(
        self, section: dict[str, Any], objectives: Sequence[Objective]
    ) -> SearchSettings | None:
        given = dict(section)
        if given.get("sampler") == AUTO.name:
            del given["sampler"]
        if len(objectives) > 1:  # a trial that is behind in one may lead in another
            given.setdefault("pruner", "none")
        components: dict[str, Component | None] = {}
        kinds: tuple[Kind, ...] = ("pruner", "sampler")
        for kind in (kind for kind in kinds if kind in given):
            is_pruner = kind == "pruner"
            component = self._parts.component(given.pop(kind), ("search", kind), kind, is_pruner)
            if component is not None or is_pruner:
                components[kind] = component
        settings = self._parts.settings(SearchSettings, given, ("search",), also=("start_with",))
        if settings is None:
            return None
        read = settings.model_copy(update=components)
        for mistake in lesson_mistakes(read):
            self._problems.add_new(("search", "learn_from"), mistake)
        for setting, mistake in multi_objective_mistakes(read) if len(objectives) > 1 else ():
            self._problems.add_new(("search", setting), mistake)
        return read
