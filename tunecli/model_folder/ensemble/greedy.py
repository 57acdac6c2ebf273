"""Greedy forward selection with replacement, of Caruana et al.

Ensemble Selection from Libraries of Models (ICML 2004), section 2: begin with nothing; add the
model that makes the mean of all that were picked best; the same one may be picked again.
"""

from __future__ import annotations

from collections.abc import Callable

Picks = tuple[int, ...]
"""Candidates in ascending order; one that counts several times occurs as often."""


def greedy_picks(
    n_candidates: int,
    n_picks: int,
    goodness: Callable[[Picks], float],
    allows: Callable[[Picks], bool] = lambda picks: True,
) -> Picks:
    """Return the best of the ensembles that arise pick by pick; of equals, the smallest.

    Args:
        n_candidates: they have the numbers from 0; of equally good ones, the first is picked.
        n_picks: largest number of picks.
        goodness: larger is better.
        allows: whether picks are within all limits; picks that are not are never made.

    Returns:
        nothing if no candidate is within the limits.
    """
    picks: Picks = ()
    path: list[Picks] = []
    for _ in range(n_picks):
        longer = [tuple(sorted((*picks, one))) for one in range(n_candidates)]
        allowed = [one for one in longer if allows(one)]
        if not allowed:
            break
        picks = max(allowed, key=goodness)
        path.append(picks)
    return max(path, key=goodness, default=())
