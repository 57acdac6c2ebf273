"""Find the settings of tokens that no model of a next round uses, since all are pretrained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.report.findings.evidence.finding import Change, DroppedChoices, Fixed
from tunecli.study_file.catalogue.pretrained_folders import brings_tokenizer
from tunecli.study_file.settings.ranges import Categories
from tunecli.study_file.space.corner_cases import covering
from tunecli.study_file.space.tree import Slot, identity
from tunecli.study_file.space.walk import Resolved, resolve
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar

_SETTINGS = ("tokenizer", "max_length")


def unused_token_settings(study: StudyFile, changes: Sequence[Change]) -> list[str]:
    """Return which of `data.tokenizer` and `data.max_length` have no effect after the changes.

    A pretrained model has its own tokenizer and length, so they are for the other models.
    """
    left_out = _left_out(study, changes)
    points = [
        point
        for point in covering(study.parameters)
        if not any(identity(value) in left_out.get(name, ()) for name, value in point.items())
    ]
    resolved = [_resolved(study, point) for point in points]
    return [name for name in _SETTINGS if _is_unused(("data", name), resolved)]


def _resolved(study: StudyFile, point: Mapping[str, Scalar]) -> Resolved:
    return resolve(study.tree, lambda name, _: point[name])


def _left_out(study: StudyFile, changes: Sequence[Change]) -> dict[str, set[str]]:
    """Return the options that the changes take from each choice."""
    gone: dict[str, set[str]] = {}
    for change in changes:
        if isinstance(change, DroppedChoices):
            gone.setdefault(change.parameter, set()).update(map(identity, change.choices))
    fixed = {change.parameter: change.value for change in changes if isinstance(change, Fixed)}
    for parameter in study.parameters:
        if parameter.name in fixed and isinstance(parameter.range, Categories):
            others = set(map(identity, parameter.range.choices)) - {
                identity(fixed[parameter.name])
            }
            gone.setdefault(parameter.name, set()).update(others)
    return gone


def _is_unused(slot: Slot, resolved: Sequence[Resolved]) -> bool:
    with_it = [one.values for one in resolved if one.values.get(slot) is not None]
    return bool(with_it) and all(brings_tokenizer(values.get(("model",))) for values in with_it)
