"""Whether `search.parallel` suits the number of workers and of trials."""

from __future__ import annotations

FEW_TRIALS = 10
"""So few trials that a sampler is not expected to learn from them."""


def on_parallel(parallel: int, n_jobs: int, n_trials: int, n_offered: int = 0) -> str:
    """Return a warning about an unsuitable `search.parallel`, or an empty text.

    Args:
        n_jobs: workers that train at once, at most `parallel`.
        n_offered: workers that the machine or the command line offers; 0 if unknown.
    """
    if parallel >= n_trials > FEW_TRIALS:
        return (
            f"search.parallel is {parallel} for {n_trials} trials, so no trial learns from "
            "another. Lower it to let the sampler learn."
        )
    if 1 < parallel < min(n_offered, n_trials):  # 1 is a decision against speed
        return (
            f"search.parallel is {parallel}, so only {parallel} of {n_offered} workers can train "
            f"at once. Set it to {2 * n_offered} to keep all busy."
        )
    if 1 < n_jobs and parallel < min(2 * n_jobs, n_trials):  # else no worker waits
        return (
            f"search.parallel is {parallel} for {n_jobs} workers, which will often wait for each "
            f"other. Set it to {2 * n_jobs} to keep them busy."
        )
    return ""
