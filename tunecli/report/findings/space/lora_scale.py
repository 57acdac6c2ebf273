"""What moves with the rank of LoRA: the scale of its update, lora_alpha / r.

With `use_rslora` it is lora_alpha / √r. Where a range of `r` grows at one end, the range of
`lora_alpha` grows by the same factor, so that new ranks are tried with the scales of the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewRange, NewSetting
from tunecli.report.findings.evidence.positions import Numeric, in_steps, resized, rounded
from tunecli.report.findings.space.unstable import boundaries
from tunecli.report.findings.space.useful_bounds import component_of, useful_bounds
from tunecli.report.phrases.foreign_text import plain
from tunecli.study_file.settings.ranges import FloatRange

_RANK, _ALPHA = "r", "lora_alpha"


def with_scales(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """Add to findings that widen a range of `r` what becomes of the scale of the update.

    Args:
        findings: those that widen ranges, at most one change each.
    """
    changes = [change for one in findings for change in one.changes]
    taken = {one.parameter for one in changes if not isinstance(one, NewSetting)}
    taken |= {rule.parameter for rule in boundaries(evidence)}
    return [_with_scale(evidence, one, taken) for one in findings]


def _with_scale(evidence: Evidence, finding: Finding, taken: set[str]) -> Finding:
    if not finding.changes or not isinstance(change := finding.changes[0], NewRange):
        return finding
    holder, _, argument = change.parameter.rpartition(".")
    adapter = component_of(evidence, change.parameter)
    alpha = f"{holder}.{_ALPHA}"
    if argument != _RANK or adapter.get("name") != "LoraConfig" or alpha in taken:
        return finding
    uses_root = bool(_arguments(adapter).get("use_rslora"))
    scale = f"{_ALPHA} / {'√r' if uses_root else _RANK}"
    wider = _moved(evidence, alpha, change, uses_root=uses_root)
    if wider is None:
        grows = change.range.high > evidence.numeric[change.parameter].high
        verb, moves = ("Raise", "falls as r grows") if grows else ("Lower", "grows as r falls")
        sentence = f"{verb} {_ALPHA} too: the scale {scale} of the update {moves}."
        return replace(finding, sentence=f"{finding.sentence} {sentence}")
    sentence = (
        f"The range of {plain(alpha)} moves along, so that the scale {scale} of the update keeps "
        "its range."
    )
    return replace(
        finding,
        sentence=f"{finding.sentence} {sentence}",
        parameters=(*finding.parameters, alpha),
        changes=(change, NewRange(alpha, wider)),
    )


def _moved(evidence: Evidence, alpha: str, rank: NewRange, *, uses_root: bool) -> Numeric | None:
    """Return the range of alpha, grown like that of the rank; None if it cannot grow."""
    kind, old = evidence.numeric.get(alpha), evidence.numeric[rank.parameter]
    if kind is None:
        return None
    power, useful = 0.5 if uses_root else 1.0, useful_bounds(evidence, alpha)
    low = max(kind.low * (rank.range.low / old.low) ** power, useful.low)
    high = min(kind.high * (rank.range.high / old.high) ** power, useful.high)
    low, high = (rounded(low), rounded(high)) if isinstance(kind, FloatRange) else (low, high)
    wider = in_steps(kind, resized(kind, min(low, kind.low), max(high, kind.high)))
    return None if wider == kind else wider


def _arguments(component: Mapping[str, Any]) -> Mapping[str, Any]:
    return component.get("arguments") or {}
