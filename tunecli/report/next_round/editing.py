"""Changes to a study file's plain data, each at the location of its parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tunecli.report.findings.evidence.finding import Change, Fixed, NewRange, NewSetting
from tunecli.report.findings.evidence.positions import Numeric, in_steps, resized
from tunecli.report.phrases.wording import joined
from tunecli.study_file.catalogue.names import canonical
from tunecli.study_file.read.overrides import set_path
from tunecli.study_file.settings.ranges import FloatRange
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.space.tree import SETTINGS, Choice, Named, Number, OptionalRange, identity
from tunecli.study_file.space.walk import ParameterLocation, places
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.scalars import Scalar

Where = tuple[Any, Any]
"""A mapping or list of the data, and one of its keys or indices."""


class UnfitError(Exception):
    """A change that cannot be made to this file; the text is a sentence with the reason."""


class Editing:
    """Plain data of a study file that is being changed.

    Mappings and lists keep their identity, so that locations are still valid after all changes.

    Args:
        data: the plain data, which is changed in place.
        study: the study file that was read from the same data.
    """

    def __init__(self, data: dict[str, Any], study: StudyFile) -> None:
        self.data = data
        self._study = study
        self._locations = places(study.tree)
        self._where = {name: self._find(one.at) for name, one in self._locations.items()}
        self._notes: list[tuple[Where, str]] = []

    def make(self, changes: list[tuple[Change, str]]) -> None:
        """Make all changes, those inside others first.

        Args:
            changes: each with its comment.

        Raises:
            UnfitError: one of them cannot be made.
        """
        for change, note in sorted(changes, key=self._order, reverse=True):
            if isinstance(change, NewSetting):
                self._set(change, note)
            elif isinstance(change, NewRange):
                self._search_in(change, note)
            elif isinstance(change, Fixed):
                self._fix(change, note)
            else:
                self._drop(change.parameter, change.choices, note)

    def leave_out(self, section: str, names: Sequence[str], note: str) -> None:
        """Remove settings that have no effect any more.

        Args:
            note: the comment, with `{}` in place of the names.
        """
        written = self.data.get(section)
        if not isinstance(written, dict):
            return
        gone = [name for name in names if name in written]
        for name in gone:
            del written[name]
        if gone:
            self.remark(section, note.format(joined(gone)))

    def remark(self, section: str, note: str) -> None:
        """Add a comment on a section."""
        self._notes.append(((self.data, section), note))

    @property
    def notes(self) -> dict[Path, list[str]]:
        """Comments by their current path."""
        paths = {id(holder): path for path, holder in _holders(self.data, ())}
        notes: dict[Path, list[str]] = {}
        for (holder, key), sentence in self._notes:
            if id(holder) in paths:
                notes.setdefault((*paths[id(holder)], key), []).append(sentence)
        return notes

    def _order(self, change: tuple[Change, str]) -> tuple[float, Path]:
        """Return the sort key: settings first, then from inside out, a range before its `or:`."""
        one = change[0]
        if isinstance(one, NewSetting):
            return math.inf, ()
        location = self._location(one.parameter)
        if location.node is None:  # variants come last
            return -1, ()
        is_gate = isinstance(location.node, OptionalRange) and one.parameter == location.node.name
        return len(location.at) - 0.5 * is_gate, location.at

    def _location(self, parameter: str) -> ParameterLocation:
        if parameter not in self._locations:
            raise UnfitError(f"{parameter} is not searched in this file.")
        return self._locations[parameter]

    def _find(self, at: Path) -> Where:
        holder: Any = self.data
        for step in at[:-1]:
            holder = holder[step]
        return holder, at[-1]

    def _put(self, where: Where, value: Any, note: str) -> None:
        holder, key = where
        holder[key] = value
        self._notes.append((where, note))

    def _set(self, change: NewSetting, note: str) -> None:
        location = self._locations.get(change.path)
        if location is not None and isinstance(location.node, Number):
            number = _up_to(location.node.range, change.value)
            self._search_in(NewRange(change.path, number), note)
            return
        if location is not None:
            raise UnfitError(f"{change.path} is searched.")
        try:
            path = set_path(self.data, change.path, change.value)
        except ValueError as error:
            raise UnfitError(f"{error}.") from None
        self._notes.append((self._find(path), note))

    def _search_in(self, change: NewRange, note: str) -> None:
        node = self._location(change.parameter).node
        node = node.inside if isinstance(node, OptionalRange) else node
        if not isinstance(node, Number) or type(node.range) is not type(change.range):
            raise UnfitError(f"{change.parameter} now has another kind of range.")
        holder, key = self._where[change.parameter]
        kind = "float" if isinstance(node.range, FloatRange) else "int"
        number = in_steps(node.range, change.range)
        holder[key][kind] = [number.low, number.high]
        self._notes.append(((holder, key), note))

    def _fix(self, change: Fixed, note: str) -> None:
        node = self._location(change.parameter).node
        where = self._where[change.parameter]
        if node is None or isinstance(node, Choice):
            choices = self._choices(change.parameter)
            if change.value not in choices:
                raise UnfitError(f"{change.parameter} has no option {change.value!r}.")
            kept = identity(change.value)
            others = tuple(choice for choice in choices if identity(choice) != kept)
            self._drop(change.parameter, others, note)
        elif not isinstance(node, OptionalRange):
            self._put(where, change.value, note)
        elif change.parameter != node.name:
            # `or:` stays searched: its value, or this one.
            self._put(where, {"choice": [node.otherwise, change.value]}, note)
        elif change.value:
            self._put(where, node.otherwise, note)
        else:
            self._put(where, _without_gate(where[0][where[1]]), note)

    def _choices(self, parameter: str) -> tuple[Scalar, ...]:
        node = self._location(parameter).node
        if isinstance(node, Choice):
            return node.range.choices
        variants = self._study.tree.variants
        return variants.choices if variants is not None and node is None else ()

    def _drop(self, parameter: str, dropped: tuple[Scalar, ...], note: str) -> None:
        node = self._location(parameter).node
        if isinstance(node, OptionalRange):
            if len(dropped) != 1:
                raise UnfitError(f"{parameter} would have no options left.")
            self._fix(Fixed(node.name, not dropped[0]), note)
            return
        choices = self._choices(parameter)
        gone = {identity(choice) for choice in dropped}
        kept = [index for index, choice in enumerate(choices) if identity(choice) not in gone]
        if not kept or len(kept) == len(choices):
            reason = "would have no options left" if not kept else "has none of these options"
            raise UnfitError(f"{parameter} {reason}.")
        holder, key = self._where[parameter]
        options = holder[key]["choice"]
        if isinstance(options, dict):
            labels = [*options]
            for index in set(range(len(labels))) - set(kept):
                del options[labels[index]]
        else:
            options[:] = [options[index] for index in kept]
        if len(kept) > 1:
            self._notes.append(((holder, key), note))
        elif node is None:
            self._unfold_variant(note)
        else:
            self._unfold(parameter, note)

    def _unfold(self, parameter: str, note: str) -> None:
        """Replace a choice by its last remaining option."""
        holder, key = self._where[parameter]
        options = holder[key]["choice"]
        node = self._location(parameter).node
        assert isinstance(node, Choice)
        if isinstance(options, list):
            left = options[0]
        else:
            [(label, inside)] = options.items()
            component = label if is_none(inside) else {label: inside}
            left = component if _is_component(label, node) else inside
        self._put((holder, key), left, note)

    def _unfold_variant(self, note: str) -> None:
        """Move the parts of the last remaining variant to where they belong without variants."""
        [(label, parts)] = self.data.pop("variant")["choice"].items()
        moved: dict[int, Any] = {}
        for section, inside in ({} if is_none(parts) else parts).items():
            if section in ("data", *SETTINGS) and isinstance(inside, dict):
                there = self.data.get(section)
                if not isinstance(there, dict):
                    there = {} if is_none(there) else {"source": there}
                    self.data[section] = there
                there.update(inside)
                moved[id(inside)] = there
            else:
                self.data[section] = inside
        moved[id(parts)] = self.data
        self._notes = [((moved.get(id(h), h), k), n) for (h, k), n in self._notes]
        inside = self.data if is_none(parts) or not parts else parts
        first = next(section for section in inside if section != "study")
        self._notes.append(((self.data, first), f"variant {label}: {note}"))


def _is_component(label: str, node: Choice) -> bool:
    """Return whether an option's label is the name of its component, or none."""
    kinds = [option.node.kind for option in node.options if isinstance(option.node, Named)]
    return bool(kinds) and (label == "none" or canonical(kinds[0], label) is not None)


def _without_gate(written: dict[str, Any]) -> Any:
    """Return a range with `or:`, or the choice that replaced it, without the value of `or:`."""
    if "choice" in written:
        return written["choice"][1]
    return {key: value for key, value in written.items() if key != "or"}


def _holders(data: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(data, dict | list):
        yield at, data
        entries = data.items() if isinstance(data, dict) else enumerate(data)
        for key, inside in entries:
            yield from _holders(inside, (*at, key))


def _up_to(number: Numeric, value: Scalar) -> Numeric:
    """Return the range with another high end, for a setting whose best value lies elsewhere."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= number.low:
        raise UnfitError(f"{value!r} is below the range.")
    return resized(number, number.low, value)
