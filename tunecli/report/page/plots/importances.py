"""How much each parameter mattered, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

from tunecli.report import wording
from tunecli.report.importance import Importance
from tunecli.report.importance_intervals import N_RESAMPLES, Interval
from tunecli.report.page.plots.intervals import Row, intervals
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.study_file.counts import count

_MOST = 12


def importances(found: Importance, sure: Mapping[str, Interval]) -> Plot:
    """The most important first; those that hardly count are left out."""
    short = wording.short_names(found.values)
    shown = [*found.values.items()][:_MOST]
    note = (
        f"PED-ANOVA over {count(found.n_trials, 'complete trial')}. Whiskers: 90 % of "
        f"{N_RESAMPLES} bootstrap resamples of the trials."
    )
    if len(shown) < len(found.values):
        n_others = len(found.values) - len(shown)
        note += f" {count(n_others, 'parameter')} of less importance left out."
    most, share = shown[0]
    return intervals(
        "Importance of parameters",
        [[_row(name, short[name], value, sure.get(name))] for name, value in shown],
        axis("share of importance", rangemode="tozero", tickformat=".0%"),
        f"{wording.plain(most)} mattered most, with {share:.0%}.",
        note,
    )


def _row(name: str, short: str, value: float, interval: Interval | None) -> Row:
    said = f"{wording.plain(name)}: {value:.0%}"
    if interval is None:
        return Row(f"{wording.plain(short)}  {value:.0%}", value, said=said)
    said += f" ({interval.low:.0%} to {interval.high:.0%})"
    return Row(f"{wording.plain(short)}  {value:.0%}", value, *interval, said)
