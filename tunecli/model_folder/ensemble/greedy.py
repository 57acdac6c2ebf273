"""Greedy forward selection with replacement, of Caruana et al.

Ensemble Selection from Libraries of Models (ICML 2004), section 2: begin with nothing; add the
model that makes the mean of all that were picked best; the same one may be picked again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Picks = tuple[int, ...]
"""Candidates in ascending order; one that counts several times occurs as often."""


def greedy_picks(
    n_candidates: int,
    n_picks: int,
    goodness: Callable[[Picks, int], float],
    allows: Callable[[Picks], bool] = lambda picks: True,
) -> Picks:
    """Return the best of the ensembles that arise pick by pick; of equals, the smallest.

    Args:
        n_candidates: they have the numbers from 0; of equally good ones, the first is picked.
        n_picks: largest number of picks.
        goodness: that of picks and one more candidate; larger is better.
        allows: whether picks are within all limits; picks that are not are never made.

    Returns:
        nothing if no candidate is within the limits.
    """
    picks: Picks = ()
    best, largest = picks, -math.inf
    for _ in range(n_picks):
        allowed = [one for one in range(n_candidates) if allows(with_pick(picks, one))]
        if not allowed:
            break
        found = [goodness(picks, one) for one in allowed]
        picks = with_pick(picks, allowed[found.index(max(found))])
        if not best or max(found) > largest:
            best, largest = picks, max(found)
    return best


def with_pick(picks: Picks, one: int) -> Picks:
    """Return picks and one more candidate, which may be among them."""
    return tuple(sorted((*picks, one)))
