"""Check a tree at the ends of its ranges: types, arguments, and rules between settings.

A range is valid if all of its values are. Settings, arguments and rules are monotonic in each
number, so checking its two ends is enough. Every conflict shows at some pair of parameters, so
checking every pair of their ends and options is enough. An option implies the choices that lead to
it; the other parameters of a pair keep their first values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain, islice
from typing import Any

from tunecli.study_file.catalogue.pretrained_folders import brings_tokenizer, pretrained_config
from tunecli.study_file.read import defaults
from tunecli.study_file.read.pydantic_messages import validated
from tunecli.study_file.read.read_components import Grammar
from tunecli.study_file.read.read_fixed import report_arguments
from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.read.rules import conflicts, loss_conflicts
from tunecli.study_file.read.sampler_rules import sampler_conflicts
from tunecli.study_file.read.text_rules import length_conflicts
from tunecli.study_file.row_rules import folder_rows, row_conflicts
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import METRICS, tasks_in_words
from tunecli.study_file.settings.ranges import Parameter
from tunecli.study_file.settings.setting_types import AnyTraining, mark
from tunecli.study_file.settings.settings import (
    WITHOUT,
    Component,
    DataSettings,
    Settings,
    Task,
    TrialConfig,
)
from tunecli.study_file.space.corner_cases import answering, distinct, pairs, singles
from tunecli.study_file.space.tree import (
    COMPONENT_SLOTS,
    LIST_SLOTS,
    SETTINGS,
    SOURCE,
    VALUE_SLOTS,
    Plain,
    Slot,
    Tree,
    trains_itself,
)
from tunecli.study_file.space.walk import Resolved, parameters_of, resolve
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.problems import Conflict, Problems, covers
from tunecli.study_file.text.suggestions import listed

_USUAL = {"model": "MLP", "loss": "CrossEntropyLoss", "optimizer": "SGD"}

_NOT_PRETRAINED = {
    "tokenizer": "has no effect, since a pretrained model has its own tokenizer. Remove it.",
    "max_length": "has no effect on a pretrained model. Write max_length among its arguments.",
}
"""Settings of tokens that do not apply to pretrained models, with the way out."""

MOST_PAIRS = 20_000
"""Largest number of pairs that are checked; only choices of hundreds of options have more."""
MOST_VALUES = 500_000
"""Largest number of values in all pairs; with over 60 parameters, fewer pairs are checked."""
MOST_PARAMETERS = 500
"""Largest number of ranges and choices of a study."""


def check_space(tree: Tree, sections: Sections, grammar: Grammar) -> None:
    """Report everything that is wrong at some point of the search space, or with its metrics."""
    _check_tree(tree, sections, grammar)
    if sections.task is not None:
        _check_metrics(sections, sections.task, grammar.problems)


def _check_tree(tree: Tree, sections: Sections, grammar: Grammar) -> None:
    searched = parameters_of(tree)
    if len(searched) > MOST_PARAMETERS:
        n = f"{len(searched):,}"
        message = f"a study can have at most {MOST_PARAMETERS} ranges and choices, but got {n}."
        grammar.problems.add((), f"{message} Replace some of them with values.")
        return
    _Checks(tree, sections, grammar).run(searched)
    if trains_itself(tree):
        for path, message in _of_own_training(tree, sections):
            grammar.problems.add_new(path, message)
    for message in sampler_conflicts(sections.search.sampler, searched):
        grammar.problems.add(("search", "sampler"), message)


def _of_own_training(tree: Tree, sections: Sections) -> Iterator[tuple[Path, str]]:
    """Yield settings that only tunecli's own training loop supports."""
    pruner = sections.search.pruner
    is_open = tree.base["training", "epochs"] == Plain(None)
    if pruner is not None and pruner.name == "HyperbandPruner" and is_open:
        message = "Hyperband requires the length of a trial: write training: {epochs: …}."
        yield ("search", "pruner"), message
    for slot, default in defaults.slots().items():
        is_setting = slot[0] in SETTINGS and tree.base[slot] != default
        if is_setting and not mark(SETTINGS[slot[0]].model_fields[slot[1]], AnyTraining):
            message = (
                "applies only to tunecli's own training loop. "
                f"Write {slot[1]} under train to pass it to your function."
            )
            yield slot, message


def with_loss(tree: Tree, task: Task) -> Tree:
    """Return the tree with the task's default loss, unless it has a loss or its own training."""
    return tree if trains_itself(tree) else tree.with_default(("loss",), defaults.loss(task))


def _check_metrics(sections: Sections, task: Task, problems: Problems) -> None:
    """Report metrics that do not fit the task of the data."""
    fitting = [name for name, info in METRICS.items() if not info.tasks or task in info.tasks]
    for at, metric in sections.named_metrics:
        if is_code(metric.name) and task == "language_modeling":
            message = f"{metric.name} is your own code, but the predictions of a language model"
            message += f" are too large to pass. Choose one of {listed(fitting, last='or')}."
            problems.add_new(at, message)
        if metric.name in METRICS and metric.name not in fitting:
            message = (
                f"{metric.name} is for {tasks_in_words(metric.name)}, but the task is {task}."
            )
            problems.add_new(at, f"{message} Choose one of {listed(fitting, last='or')}.")


class _Checks:
    """The checks of one tree at many points of its space."""

    def __init__(self, tree: Tree, sections: Sections, grammar: Grammar) -> None:
        self._tree = tree if sections.task is None else with_loss(tree, sections.task)
        self._sections = sections
        self._grammar = grammar
        self._problems: Problems = grammar.problems
        self._seen: set[str] = set()
        self._config_of = cache(partial(pretrained_config, study_folder=grammar.folder))
        self._in_folder = cache(partial(folder_rows, study_folder=grammar.folder))

    def run(self, searched: Sequence[Parameter]) -> None:
        every = distinct(searched, chain(singles(searched), pairs(searched)))
        n_single = sum(1 for _ in distinct(searched, singles(searched)))
        single = [resolve(self._tree, answering(a)) for a in islice(every, n_single)]
        for resolved in single:
            self._check_parts(resolved)
        known_wrong = _with_their_lists(self._problems.paths())
        for resolved in single:
            self._check_rules(resolved, known_wrong)
        self._check_tokens(single)
        n_pairs = min(MOST_PAIRS, MOST_VALUES // max(1, len(searched)))
        for allowed in islice(every, n_pairs):
            self._check_rules(resolve(self._tree, answering(allowed)), known_wrong)

    def _check_parts(self, resolved: Resolved) -> None:
        """Check each component and each setting by itself."""
        for slot, kind in COMPONENT_SLOTS.items():
            component = resolved.values.get(slot)
            if isinstance(component, Component) and self._is_new(slot, component):
                report_arguments(kind, component, slot, resolved, self._grammar)
        for slot, kind in LIST_SLOTS.items():
            for i, component in enumerate(resolved.values.get(slot) or ()):
                if component is not None and self._is_new((*slot, i), component):
                    report_arguments(kind, component, (*slot, i), resolved, self._grammar)
        for section, settings in SETTINGS.items():
            self._check_settings(section, settings, resolved.section(section), resolved)
        of_data = {slot[1]: resolved.values.get(slot) for slot in VALUE_SLOTS}
        any_source = {"source": "digits"}
        self._check_settings("data", DataSettings, any_source | of_data, resolved)

    def _check_tokens(self, points: Sequence[Resolved]) -> None:
        """Report settings of tokens that no model uses, since all are pretrained."""
        for name, message in _NOT_PRETRAINED.items():
            given = [point for point in points if point.values.get(("data", name)) is not None]
            if given and all(brings_tokenizer(point.values.get(("model",))) for point in given):
                self._problems.add_new(given[0].place(("data", name)), message)

    def _check_settings(
        self, section: str, settings: type[Settings], given: dict[str, Any], resolved: Resolved
    ) -> None:
        if self._is_new((section,), given):
            for path, message in validated(settings, given)[1]:
                self._problems.add_new(resolved.place((section, *path)), message)

    def _is_new(self, slot: Path, value: Any) -> bool:
        """Return whether this value is new in this slot."""
        key = f"{slot}{value!r}"
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _check_rules(self, resolved: Resolved, known_wrong: frozenset[Path]) -> None:
        config = trial_config(_filled(resolved, trains_itself(self._tree)), self._sections)
        all_conflicts = [
            *conflicts(config),
            *row_conflicts(config, self._in_folder),
            *length_conflicts(config, self._config_of),
        ]
        if self._sections.task is not None:
            all_conflicts += loss_conflicts(config.loss, self._sections.task)
        for conflict in all_conflicts:
            self._report(conflict, resolved, known_wrong)

    def _report(
        self, conflict: Conflict, resolved: Resolved, known_wrong: frozenset[Path]
    ) -> None:
        """Report a conflict, unless one of its parts is wrong by itself.

        A mistake in what contains all of its parts, such as a misspelled name, does not count.
        """
        paths = [resolved.place(path) for path in (conflict.path, *conflict.others)]
        around = {path for path in known_wrong if all(p[: len(path)] == path for p in paths)}
        around -= set(paths)
        if not any(covers(known_wrong - around, path) for path in paths):
            self._problems.add(paths[0], conflict.message, others=paths[1:])


def _filled(resolved: Resolved, is_own: bool) -> Resolved:
    """Replace wrong components by usual ones, so that the rules can check the rest.

    Conflicts of the replacements are not reported, since their paths are known to be wrong.
    """
    usual: dict[Slot, Any] = {(slot,): Component(name=name) for slot, name in _USUAL.items()}
    if is_own:
        usual = {("train",): Component(name="my_train.py:fit")}
    return replace(resolved, values=usual | resolved.values)


def trial_config(resolved: Resolved, sections: Sections) -> TrialConfig:
    """Return a configuration without ranges.

    Wrong settings have their defaults, so that the rules can check the others.
    """
    parts: dict[str, Any] = {name: resolved.values.get((name,)) for name in ("schedule", "train")}
    for name in ("model", "loss", "optimizer"):
        parts[name] = resolved.values.get((name,)) or WITHOUT
    for section, settings in SETTINGS.items():
        parts[section] = validated(settings, resolved.section(section))[0] or settings()
    objectives = sections.objectives or (defaults.objective("classification"),)
    return TrialConfig(
        seed=sections.seed,
        data=sections.shared_data.model_copy(update=of_data(resolved)),
        validation=sections.validation,
        objective=objectives[0],
        further_objectives=objectives[1:],
        constraints=sections.constraints,
        metrics=sections.metrics,
        numerics=sections.numerics,
        **parts,
    )


def of_data(resolved: Resolved) -> dict[str, Any]:
    """Return the data settings that can differ between trials."""
    augment = resolved.values.get(("data", "augment")) or ()
    source = resolved.values.get(SOURCE)
    return {
        **({"arguments": source.arguments} if isinstance(source, Component) else {}),
        "scale": resolved.values.get(("data", "scale")),
        "tokenizer": resolved.values.get(("data", "tokenizer")),
        "augment": tuple(component for component in augment if component is not None),
        "max_length": resolved.values.get(("data", "max_length")),
    }


def _with_their_lists(paths: frozenset[Path]) -> frozenset[Path]:
    """Return the paths and those of the lists that contain them; a list is judged as a whole."""
    with_lists = set(paths)
    for path in paths:
        while path and isinstance(path[-1], int):
            path = path[:-1]
            with_lists.add(path)
    return frozenset(with_lists)
