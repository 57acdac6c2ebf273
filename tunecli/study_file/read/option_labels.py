"""Labels of options, and the messages for choices and components with wrong ones."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from tunecli.study_file.catalogue import names
from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.read.number_ranges import RANGE_WORDS
from tunecli.study_file.settings.code_names import is_code, short_name
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.suggestions import closest

MOST_OPTIONS = 1_000
"""Largest number of options of a choice; a sampler learns each option only by trying it."""


def too_many_options(data: Sized) -> str | None:
    """Return the message for a choice with too many options; None for any other choice."""
    if len(data) <= MOST_OPTIONS:
        return None
    rule = f"a choice has at most {MOST_OPTIONS:,} options, but got {len(data):,}"
    return f"{rule}. Write a range of numbers, or fewer options."


def option_label(data: Any, kind: Kind) -> str:
    """Return the category in the database of an option of a list of components."""
    if is_none(data):
        return "none"
    written = next(iter(data), "") if isinstance(data, dict) else str(data)
    return short_name(names.canonical(kind, written) or written)


def occurs_twice(label: str) -> str:
    if label == "none":
        return "the option none occurs twice. Remove one of them."
    both = f"choice: {{first: {{{label}: …}}, second: {{{label}: …}}}}"
    return f"{label} occurs twice. Give both a label: {both}."


def needs_label(option: Any) -> str:
    """Return the message for an option of a list that contains a range."""
    label, inside = next(iter(option.items())) if isinstance(option, dict) else ("", None)
    branch = inline(inside) if label and label not in RANGE_WORDS else "…"
    first = label if branch != "…" else "small"
    advice = f"Write the options as a mapping: choice: {{{first}: {branch}, …}}."
    return f"an option that contains a range needs a label. {advice}"


def too_many_names(data: dict[str, Any], kind: Kind) -> str:
    got = ", ".join(data)
    known = names.names(kind)
    meant = [names.canonical(kind, name) or closest(name, known) for name in data]
    if meant[0] is None:
        advice = f"Write {{Name: {{arguments}}}} with the name of one {kind}."
        return f"only one {kind} is allowed, but got {got}. {advice}"
    hint = "" if meant[0] in data else f" Did you mean `{meant[0]}`?"
    options = ", ".join(name for name in meant if name is not None)
    advice = f"To search over several, write choice: {{{options}}}, each with its arguments."
    return f"only one {kind} is allowed, but got {got}.{hint} {advice}"


def is_misspelled_name(label: str, data: dict[str, Any], kind: Kind) -> bool:
    """Return whether a label is probably a misspelled name, not a label of one component."""
    known = names.names(kind)
    inside = next(iter(data), "")
    is_known = is_code(inside) or closest(inside, known) is not None
    holds_component = len(data) == 1 and is_known
    return not holds_component and closest(label, known) is not None
