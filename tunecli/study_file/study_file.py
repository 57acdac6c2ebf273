"""Read and check a study file: fixed settings, searched ranges, and the search itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Literal, Self

from tunecli.errors import DataError, Problem, StudyFileError, TunecliError
from tunecli.files.small import read_small
from tunecli.numerics import NUMERICS
from tunecli.study_file.automatic_sampler import with_sampler
from tunecli.study_file.catalogue.allowed_code import NO_CODE, AllowedCode
from tunecli.study_file.catalogue.model_files import NAMES_FILES
from tunecli.study_file.check_space import check_space, of_data, trial_config, with_loss
from tunecli.study_file.complete_metrics import complete_metrics, named_twice
from tunecli.study_file.print_study import study_data
from tunecli.study_file.read import defaults
from tunecli.study_file.read.overrides import with_overrides
from tunecli.study_file.read.read_components import Grammar
from tunecli.study_file.read.read_sections import SECTIONS, SectionReader, Sections
from tunecli.study_file.read.read_tree import read_tree
from tunecli.study_file.read_start_with import TUNED, Assignment, StartFrom, read_start_with
from tunecli.study_file.settings.code_names import CodeName, is_code
from tunecli.study_file.settings.ranges import Parameter
from tunecli.study_file.settings.search_settings import FOLLOWS_EVIDENCE, SearchSettings
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Objective,
    Task,
    TrainingSettings,
    TrialConfig,
)
from tunecli.study_file.space import walk
from tunecli.study_file.space.tree import Named, Plain, Tree, every_node, subtree
from tunecli.study_file.space.walk import Suggest, first_value
from tunecli.study_file.text.document import LARGEST_FILE, Document, Path
from tunecli.study_file.text.dump import inline, to_text
from tunecli.study_file.text.problems import Problems
from tunecli.study_file.text.scalars import Scalar
from tunecli.study_file.text.suggestions import closest, did_you_mean, listed
from tunecli.study_file.tuned_defaults import check_tuned


@dataclass(frozen=True, kw_only=True)
class StudyFile(Sections):
    """A study file without mistakes; `completed` fills in what depends on the data.

    Two are equal if they mean the same study, even if their texts differ.

    Attributes:
        text: the text as read.
        file: its path, for messages.
        overrides: `path=value` from the command line, already applied.
        tree: the settings that can be searched.
        start_with: partial assignments to try first, by parameter name.
        start_from: another study whose best trials are tried first, or `tuned` for the published
            defaults of the models.
        left_open: settings of the search that the file does not write, of those whose defaults may
            change between versions.
        why_sampler: why `sampler: auto` took this sampler; empty if the file names one.
        code: the user's code that may be named and run; None if code was not checked.
    """

    text: str = field(compare=False, repr=False)
    file: str = field(compare=False)
    overrides: tuple[str, ...] = field(compare=False)
    tree: Tree = field(repr=False)
    start_with: tuple[Assignment, ...] = ()
    start_from: StartFrom | Literal["tuned"] | None = None
    left_open: frozenset[str] = field(default=frozenset(), compare=False)
    why_sampler: str = field(default="", compare=False)
    code: AllowedCode | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_text(
        cls,
        text: str,
        file: str,
        overrides: Sequence[str] = (),
        folder: FilePath | None = None,
        code: AllowedCode | None = None,
    ) -> StudyFile:
        """Read and check a study file.

        Args:
            file: path for messages; its stem is the default of the study's name.
            overrides: `path=value`, applied in order before anything is checked.
            folder: the folder that paths are relative to, to check that the data exists; None to
                assume that it does.
            code: the user's code that may be named; None to accept all code, if the study file is
                only read.

        Raises:
            StudyFileError: the file has mistakes; lists all of them.
        """
        document, problems = _document(text, file, overrides)
        grammar = Grammar(problems, code, folder)
        data: dict[str, Any] = document.data
        sections = SectionReader(data, file, grammar, folder).read()
        tree = read_tree(data, grammar)
        left_open = frozenset(FOLLOWS_EVIDENCE) - sections.search.model_fields_set
        sections, why_sampler = with_sampler(sections)
        check_space(tree, sections, grammar)
        start_with, start_from = read_start_with(sections.written_start, tree, problems)
        if start_from == TUNED:
            check_tuned(tree, problems)
        problems.raise_any()
        return cls(
            **vars(sections),
            text=text,
            file=file,
            overrides=tuple(overrides),
            tree=tree,
            start_with=start_with,
            start_from=start_from,
            left_open=left_open,
            why_sampler=why_sampler,
            code=code,
        )

    def as_begun(self, begun: Mapping[str, Any]) -> Self:
        """Return the study with the defaults of an earlier call for settings left open.

        Args:
            begun: settings of `search`.
        """
        kept = {name: value for name, value in begun.items() if name in self.left_open}
        return replace(self, search=self.search.model_copy(update=kept), why_sampler="")

    @cached_property
    def _first(self) -> walk.Resolved:
        """The tree with every range at its first value."""
        return walk.resolve(self.tree, lambda name, range_: first_value(range_))

    @cached_property
    def data(self) -> DataSettings:
        """The data settings, with every range at its first value."""
        return self.shared_data.model_copy(update=of_data(self._first))

    @cached_property
    def training(self) -> TrainingSettings:
        """The training settings, with every range at its first value."""
        return TrainingSettings(**self._first.section("training"))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All searched parameters, in the order in which `resolve` asks."""
        return walk.parameters_of(self.tree)

    @cached_property
    def gates(self) -> dict[str, Scalar]:
        """The value of `or:` of each range, by the range's name, such as `training.l1`.

        The parameter `training.l1.or` decides between the two.
        """
        return walk.optional_ranges(self.tree)

    def completed(
        self,
        task: Task,
        n_rows: int,
        given: Collection[str] = (),
        positive: str | None = None,
        numerics: int = NUMERICS,
    ) -> Study:
        """Return the study with defaults that depend on the data: loss, objective, validation.

        Args:
            n_rows: number of rows of the whole data set.
            given: splits of the data itself, unless the file sets them: `test`, `validation`.
            positive: the positive class, by default that of the file; None without two classes,
                and for studies of versions whose metrics were averages over both.
            numerics: version of the arithmetic that its trials train with.

        Raises:
            StudyFileError: something does not fit the task.
        """
        written = {one.name: getattr(self, one.name) for one in fields(self)}
        completed: dict[str, Any] = {
            "task": task,
            "numerics": numerics,
            "tree": with_loss(self.tree, task),
            "shared_data": defaults.with_data_defaults(self.shared_data, given, positive, task),
            "validation": defaults.validation(self.validation, n_rows, given, task),
            **complete_metrics(self, task, of_two=positive is not None),
        }
        if mistakes := [*named_twice(completed["named_metrics"])]:
            raise self.error(mistakes)
        study = Study(**written | completed)
        if self.task != task:  # otherwise `from_text` has checked it
            _, problems = _document(self.text, self.file, self.overrides)
            check_space(study.tree, study, Grammar(problems, self.code))
            problems.raise_any()
        return study

    @cached_property
    def code_in_use(self) -> dict[str, str]:
        """Hash of each file and package of the user's own code that the study names.

        The hashes are empty if the study file is only read.
        """
        names = self._code_names
        return {to: (self.code and self.code.hash_of(name)) or "" for to, name in names.items()}

    def changed_code(self, before: Mapping[str, str]) -> list[str]:
        """Return the files and packages that have changed since a study ran.

        Args:
            before: an earlier `code_in_use`, or hashes of the oldest studies.
        """
        names, allowed = self._code_names, self.code or NO_CODE
        return [
            option
            for option, content in before.items()
            if option not in names or not allowed.is_as_before(names[option], content)
        ]

    @cached_property
    def model_file_names(self) -> list[str]:
        """The files and folders that models start from, as they are written, sorted."""
        named = [
            node.arguments[argument]
            for node in every_node(self.tree)
            if isinstance(node, Named) and node.kind == "model" and not is_code(node.component)
            for argument in NAMES_FILES
            if argument in node.arguments
        ]
        values = {one.value for node in named for one in subtree(node) if isinstance(one, Plain)}
        return sorted(value for value in values if isinstance(value, str))

    @cached_property
    def _code_names(self) -> dict[str, CodeName]:
        """The names of code in the study, by their file or package, as in `--code`."""
        measured = [*self.metrics, *(objective.metric for objective in self.objectives)]
        measured += [constraint.metric for constraint in self.constraints]
        written = [self.shared_data.source, *(metric.name for metric in measured)]
        written += [node.component for node in every_node(self.tree) if isinstance(node, Named)]
        names = map(CodeName.parse, written)
        return {name.to_allow: name for name in names if name is not None}

    def error(self, mistakes: Iterable[tuple[Path, str]]) -> StudyFileError:
        """Return an error of mistakes, as (path, message), that need the data or a library."""
        _, problems = _document(self.text, self.file, self.overrides)
        for path, message in mistakes:
            problems.add(path, message)
        return problems.error()

    def located(self, error: DataError) -> TunecliError:
        """Return the error with the line of each mistake, if settings can fix it."""
        if not error.setting:
            return error
        return self.error((tuple(one.setting.split(".")), one.message) for one in error.mistakes)

    def problem(self, sentence: str, params: Mapping[str, Scalar]) -> Problem:
        """Return why a trial cannot be trained, with the line of the setting.

        Args:
            sentence: begins with the setting, as in `model.CNN: …`; otherwise, or if the file does
                not contain the setting, there is no line.
            params: parameters of the trial.
        """
        setting = tuple(sentence.partition(": ")[0].split("."))
        resolved = walk.resolve(self.tree, lambda name, _: params[name])
        path = resolved.place(setting)
        document, _ = _document(self.text, self.file, self.overrides)
        if not any(document.holds(path[:length]) for length in range(1, len(path) + 1)):
            return Problem(0, 0, "", sentence)
        mark = document.mark(path)
        return Problem(mark.line, mark.column, "", sentence, mark.override)

    def to_yaml(self) -> str:
        """Return the resolved study file, with overrides and defaults; it reads back equal."""
        return to_text(study_data(self, self.tree))


@dataclass(frozen=True, kw_only=True)
class Study(StudyFile):
    """A study file completed with what depends on its data: nothing is open.

    Attributes:
        task: the task of the data.
    """

    task: Task

    @property
    def objective(self) -> Objective:
        """The first objective; the curve, the best evaluation and early stopping follow it."""
        return self.objectives[0]

    @property
    def first_config(self) -> TrialConfig:
        """The configuration of a trial that has the first value of every range."""
        return self.resolve(lambda _, range_: first_value(range_))

    def resolve(self, suggest: Suggest) -> TrialConfig:
        """Return a trial's configuration.

        Args:
            suggest: is called for each parameter that exists, in the order of `parameters_of`.
        """
        return trial_config(walk.resolve(self.tree, suggest), self)


def read_study_file(
    path: FilePath, overrides: Sequence[str] = (), code: AllowedCode | None = None
) -> StudyFile:
    """Read a study file from disk.

    Args:
        code: see `StudyFile.from_text`.

    Raises:
        StudyFileError: the file cannot be read, or has mistakes.
    """
    try:
        text = read_small(path, LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"must be UTF-8, but byte {error.start} is not. Save it as UTF-8."
        raise StudyFileError(str(path), [Problem(line, column, "", message)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot be read: {reason}."
        raise StudyFileError(str(path), [Problem(0, 0, "", message)]) from None
    return StudyFile.from_text(text, str(path), overrides, path.absolute().parent, code)


def _document(text: str, file: str, overrides: Sequence[str]) -> tuple[Document, Problems]:
    """Return the document of a text with the overrides applied, and its problems."""
    document = Document.parse(text, file)
    if document.data is None:
        document = replace(document, data={})
    if not isinstance(document.data, dict):
        got = inline(document.data)
        message = (
            f"a study file must be a mapping of sections, but got {got}. Start with data: digits."
        )
        flaws = [flaw.problem for flaw in document.flaws]
        raise StudyFileError(file, [*flaws, Problem(1, 1, "", message)])
    document, mistakes = with_overrides(document, overrides)
    unknown = [key for key in document.data if key not in SECTIONS]
    meant = {key: closest(key, SECTIONS) for key in unknown if key not in _ELSEWHERE}
    for key, section in meant.items():
        if section is not None and section not in document.data:
            document = document.renamed(key, section)
    problems = Problems(document, file)
    problems.extend(mistakes)
    for key in unknown:
        problems.add((key,), _unknown_section(key), of_key=True)
    return document, problems


_ELSEWHERE = {
    "lr": "optimizer: {AdamW: {lr: …}}",
    "learning_rate": "optimizer: {AdamW: {lr: …}}",
    "weight_decay": "optimizer: {AdamW: {weight_decay: …}}",
    "momentum": "optimizer: {SGD: {momentum: …}}",
    "dropout": "model: {MLP: {dropout: …}}",
    "scale": "data: {source: …, scale: …}",
    "dataset": "data: digits",
    "test": "data: {source: …, test: …}",
    "folds": "validation: {folds: …}",
    "holdout": "validation: {holdout: …}",
    "metric": "objective: {maximize: accuracy}",
    "maximize": "objective: {maximize: …}",
    "minimize": "objective: {minimize: …}",
    "name": "study: …",
    "scheduler": "schedule: …",
    "lr_scheduler": "schedule: …",
    **{key: f"training: {{{key}: …}}" for key in TrainingSettings.model_fields},
    **{key: f"compression: {{{key}: …}}" for key in CompressionSettings.model_fields},
    **{key: f"search: {{{key}: …}}" for key in SearchSettings.model_fields},
    "start_with": "search: {start_with: […]}",
    "n_trials": "search: {trials: …}",
}
"""Common names that are not sections, and how to write what they mean."""


def _unknown_section(key: str) -> str:
    if key in _ELSEWHERE:
        return f"unknown section. Write {_ELSEWHERE[key]}."
    known = f" Valid sections are {listed(SECTIONS, most=20)}."
    return f"unknown section.{did_you_mean(key, SECTIONS) or known}"
