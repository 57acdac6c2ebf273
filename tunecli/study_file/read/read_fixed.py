"""Read parts without ranges: the settings and components of sections."""

from __future__ import annotations

import re
from typing import Any

from tunecli.study_file.catalogue import allowed_code, component_arguments
from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.catalogue.pretrained_folders import missing_folders
from tunecli.study_file.read.number_ranges import is_range
from tunecli.study_file.read.pydantic_messages import AnySettings, validated
from tunecli.study_file.read.read_components import Grammar, Role, has_ranges, searches_source
from tunecli.study_file.read.sampler_rules import search_mistakes
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.space.tree import DATA_SLOTS, Named
from tunecli.study_file.space.walk import Resolved, resolve_slots
from tunecli.study_file.text.document import Path, dotted
from tunecli.study_file.text.dump import inline

RANGE = object()
"""Placeholder of a range that is not allowed."""


class FixedReader:
    """A reader of parts without ranges, which reports their mistakes.

    Attributes:
        grammar: the reader of the whole file.
        problems: the mistakes found so far.
        has_own_training: whether the study uses the user's own training, which names its metrics.
    """

    def __init__(self, grammar: Grammar, *, has_own_training: bool) -> None:
        self.grammar = grammar
        self.problems = grammar.problems
        self.has_own_training = has_own_training

    def section(self, name: str, data: Any) -> dict[str, Any]:
        """Return a section's mapping without ranges, which are reported."""
        if is_none(data):
            return {}
        if not isinstance(data, dict):
            message = f"must be a mapping of settings, but got {inline(data)}."
            self.problems.add((name,), message)
            return {}
        apart = {*DATA_SLOTS} if name == "data" else {"start_with", "sampler", "pruner"}
        if name == "data" and searches_source(data):
            apart.add("source")
        section = {}
        for key, value in data.items():
            without = value if key in apart else self.without_ranges(value, (name, key))
            if without is not RANGE:
                section[key] = without
        return section

    def without_ranges(self, data: Any, at: Path) -> Any:
        """Return the data without its ranges, which are reported; `RANGE` if it is a range."""
        if not has_ranges(data):
            return data
        if is_range(data):
            of_data = ", ".join(f"data.{name}" for name in DATA_SLOTS)
            where = (
                f"model, loss, optimizer, schedule, training, compression, {of_data}, variant, "
                "and the arguments of a function that is data.source"
            )
            message = f"{dotted(at[:2])} cannot be a range. Ranges are allowed in {where}."
            self.problems.add(at, f"{message} Write a value.")
            return RANGE
        entries = data.items() if isinstance(data, dict) else enumerate(data)
        walked = {key: self.without_ranges(value, (*at, key)) for key, value in entries}
        fixed = {key: value for key, value in walked.items() if value is not RANGE}
        return fixed if isinstance(data, dict) else list(fixed.values())

    def settings(
        self,
        settings: type[AnySettings],
        data: dict[str, Any],
        at: Path,
        also: tuple[str, ...] = (),
    ) -> AnySettings | None:
        valid, mistakes = validated(settings, data, also)
        for path, message in mistakes:
            below = (*at, *path)
            if not self.problems.covers(below) and not self.problems.any_below(below):
                self.problems.add(below, message, of_key=True)
        return valid

    def component(self, data: Any, at: Path, kind: Kind, optional: bool) -> Component | None:
        """Return a component without ranges, and without arguments if one of them is wrong.

        None if it is left out or unknown.
        """
        written = self.without_ranges(data, at)
        if written is RANGE:
            return None
        if kind == "metric" and self.has_own_training and is_metric_name(written):
            return Component(name=written)  # the training reports it under this name
        node = self.grammar.component(written, Role(kind, at, dotted(at), optional))
        if not isinstance(node, Named):
            return None
        slot = tuple(str(step) for step in at)
        resolved = resolve_slots({slot: node}, lambda name, range_: None)
        component: Component = resolved.values[slot]
        report_arguments(kind, component, slot, resolved, self.grammar)
        mistakes = search_mistakes(component) if kind in ("sampler", "pruner") else ()
        for path, message in mistakes:
            self.problems.add_new(resolved.place((*slot, *path)), message)
        is_right = not self.problems.any_below(at)
        return component if is_right else component.model_copy(update={"arguments": {}})


def report_arguments(
    kind: Kind, component: Component, slot: Path, resolved: Resolved, grammar: Grammar
) -> bool:
    """Report mistakes in a component's arguments, and return whether there are any."""
    given = {str(path[-1]) for path in resolved.places if path[:-1] == slot}
    if is_code(component.name):
        mistakes = allowed_code.mistakes(kind, component, grammar.code, given)
    else:
        mistakes = component_arguments.argument_problems(kind, component, given)
        mistakes += missing_folders(component, grammar.folder)
    for path, message in mistakes:
        grammar.problems.add_new(resolved.place((*slot, *path)), message)
    return bool(mistakes)


def is_metric_name(written: Any) -> bool:
    """Return whether the user's own training could report a number under this name."""
    return (
        isinstance(written, str) and re.fullmatch(r"[A-Za-z_][\w@/-]{0,63}", written) is not None
    )
