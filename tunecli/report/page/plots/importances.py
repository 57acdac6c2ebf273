"""How much each parameter matters, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

from tunecli.report.analysis.importance import Importance
from tunecli.report.analysis.importance_intervals import N_RESAMPLES, ImportanceInterval
from tunecli.report.page.plots.interval_bars import Row, interval_plot
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.report.phrases import wording
from tunecli.study_file.text.counts import count

_MOST = 12


def importances(result: Importance, intervals: Mapping[str, ImportanceInterval]) -> Plot:
    """Return the importances, largest first, without the least important of many."""
    short = wording.short_names(result.values)
    leading = [*result.values.items()][:_MOST]
    note = (
        f"PED-ANOVA over {count(result.n_trials, 'complete trial')}. Whiskers: 90 % of "
        f"{N_RESAMPLES} bootstrap resamples of the trials."
    )
    if len(leading) < len(result.values):
        n_others = len(result.values) - len(leading)
        note += f" {count(n_others, 'less important parameter')} not shown."
    most, share = leading[0]
    return interval_plot(
        "Importance of parameters",
        [[_row(name, short[name], value, intervals.get(name))] for name, value in leading],
        axis("share of importance", rangemode="tozero", tickformat=".0%"),
        f"{wording.plain(most)} matters most, with {share:.0%}.",
        note,
    )


def _row(name: str, short: str, value: float, interval: ImportanceInterval | None) -> Row:
    hover = f"{wording.plain(name)}: {value:.0%}"
    if interval is None:
        return Row(f"{wording.plain(short)}  {value:.0%}", value, hover=hover)
    hover += f" ({interval.low:.0%} to {interval.high:.0%})"
    return Row(f"{wording.plain(short)}  {value:.0%}", value, *interval, hover)
