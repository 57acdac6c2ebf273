"""Advice on how to make a long search faster."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.report.live.search_state import SearchState

LONG = 3600.0  # seconds; a shorter search needs no advice

_FEW_FOLDS = 3
_MANY_EVALUATIONS = 10


def advice(state: SearchState, n_cores: int) -> str:
    """Return one sentence with the one or two largest savings.

    Args:
        n_cores: cores that this process may use.
    """
    options = sorted(_options(state, n_cores), key=lambda option: -option[0])[:2]
    if not options:
        return "To make the search faster, lower `search.trials`."
    texts = [f"{text} (about {factor:.1f} times as fast)" for factor, text in options]
    return f"To make the search faster, use {', or '.join(texts)}."


def _options(state: SearchState, n_cores: int) -> Iterator[tuple[float, str]]:
    """Yield each option as (how many times as fast, what to use)."""
    started, summary = state.started, state.summary
    if started is not None:
        n_jobs = min(n_cores, started.parallel)
        if n_jobs > started.n_jobs:
            yield n_jobs / started.n_jobs, f"`--jobs {n_jobs}`"
        if not started.has_pruner:
            yield 2.0, "a pruner such as `pruner: Median`"
    if summary is not None and summary.n_folds > _FEW_FOLDS:
        folds = f"`validation: {{folds: {_FEW_FOLDS}}}` in a new study"
        yield summary.n_folds / _FEW_FOLDS, folds
    elif summary is not None and summary.n_folds > 1:
        yield float(summary.n_folds), "`validation: {holdout: 0.2}` in a new study"
    if state.n_planned >= _MANY_EVALUATIONS:
        yield 2.0, "half as many `training.epochs` in a new study"
