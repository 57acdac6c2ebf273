"""The ways to search that are compared: samplers, pruners, warm-ups, starts and lags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAMPLERS: Mapping[str, str] = {
    "Random": "Random",
    "TPE": "TPE",
    "TPE univariate": "{TPE: {multivariate: false}}",
    "CmaEs": "CmaEs",
    "GP": "GP",
}
SHARES: Mapping[str, float] = {"none": 0.0, "a sixth": 0.17, "a third": 0.33, "half": 0.5}
"""Warm-ups: shares of a training before which no trial is stopped."""
PRUNERS: Mapping[str, str] = {
    "no pruner": "none",
    **{f"Median, warm-up {name}": f"{{Median: {{warmup: {s}}}}}" for name, s in SHARES.items()},
    "best quarter, warm-up a third": "{Percentile: {percentile: 25.0, warmup: 0.33}}",
    "SuccessiveHalving": "SuccessiveHalving",
    "SuccessiveHalving by 2 from a sixth": (
        "{SuccessiveHalving: {min_resource: 9, reduction_factor: 2}}"
    ),
    "Hyperband": "Hyperband",
}
"""By name; `min_resource` counts the 52 epochs of a surrogate's curve."""


_BRANCH = "{{MLP: {{depth: {n}, width: {{int: [64, 1024], log: true}}, {dropout}}}}}"
_DROPOUT = "dropout: {float: [0, 0.99]}"
_BRANCHES = ", ".join(f"{n}: {_BRANCH.format(n=n, dropout=_DROPOUT)}" for n in range(1, 6))
SPACES: Mapping[str, str | None] = {
    "flat": None,
    "branches": f"model={{choice: {{{_BRANCHES}}}}}",
}
"""LCBench's space as it is, or with a branch per depth that has its own width and dropout."""


@dataclass(frozen=True)
class Way:
    """One way to search.

    Attributes:
        sampler, pruner: names in `SAMPLERS` and `PRUNERS`.
        n_startup: the sampler's `n_startup_trials`; None for Optuna's default.
        space: a name in `SPACES`.
        more: further settings, as for `--set`; for example `validation.racing=on`.
    """

    sampler: str
    pruner: str
    parallel: int = 8
    n_startup: int | None = None
    space: str = "flat"
    more: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        start = [] if self.n_startup is None else [f"start-up {self.n_startup}"]
        lag = [] if self.parallel == 8 else [f"parallel {self.parallel}"]
        space = [] if self.space == "flat" else [self.space]
        return "; ".join([self.sampler, self.pruner, *start, *lag, *space, *self.more])

    def overrides(self, seed: int) -> list[str]:
        """Return the settings of a study, as for `--set`."""
        space = SPACES[self.space]
        start = f"search.sampler.TPE.n_startup_trials={self.n_startup}"
        return [
            f"search.sampler={SAMPLERS[self.sampler]}",
            *([] if self.n_startup is None else [start]),
            f"search.pruner={PRUNERS[self.pruner]}",
            f"search.parallel={self.parallel}",
            f"seed={seed}",
            *([] if space is None else [space]),
            *self.more,
        ]


_TPE, _UNIVARIATE, _RANDOM, _CMA = "TPE", "TPE univariate", "Random", "CmaEs"
_NOW, _FROM_FIRST = "Median, warm-up a third", "Median, warm-up none"

REFERENCE = Way(_TPE, _FROM_FIRST)
"""The defaults of the first version."""

DEFAULT = Way(_UNIVARIATE, _NOW, parallel=4)
"""The defaults of this version, for more than 15 trials."""

WAYS = (
    DEFAULT,
    Way(_UNIVARIATE, _NOW, parallel=4, n_startup=5),
    REFERENCE,
    Way(_UNIVARIATE, _NOW),
    Way(_TPE, _NOW),
    Way(_UNIVARIATE, "no pruner"),
    Way(_UNIVARIATE, _FROM_FIRST),
    Way(_UNIVARIATE, _NOW, space="branches"),
    Way(_TPE, _NOW, space="branches"),
    Way(_UNIVARIATE, _NOW, n_startup=3),
    Way(_RANDOM, "no pruner"),
    Way(_RANDOM, "SuccessiveHalving"),
    Way(_UNIVARIATE, _FROM_FIRST, parallel=4),
    Way(_UNIVARIATE, "no pruner", parallel=4),
    Way(_CMA, _NOW, parallel=4),
    Way(_UNIVARIATE, _NOW, parallel=1),
    Way(_UNIVARIATE, "SuccessiveHalving", parallel=4),
    Way(_UNIVARIATE, "Hyperband", parallel=4),
    Way(_UNIVARIATE, "Median, warm-up half", parallel=4),
    Way(_UNIVARIATE, "SuccessiveHalving", parallel=4, n_startup=5),
    Way(_UNIVARIATE, _FROM_FIRST, parallel=4, n_startup=5),
    Way(_UNIVARIATE, "Median, warm-up half", parallel=4, n_startup=5),
    Way(_UNIVARIATE, "Median, warm-up a sixth", parallel=4, n_startup=5),
    Way(_UNIVARIATE, "no pruner", parallel=4, n_startup=5),
    Way(_UNIVARIATE, _NOW, parallel=1, n_startup=5),
    Way(_UNIVARIATE, _NOW, parallel=4, n_startup=3),
    Way(_TPE, _NOW, parallel=4, n_startup=5),
    Way(_UNIVARIATE, "Hyperband", parallel=4, n_startup=5),
    Way(_UNIVARIATE, "best quarter, warm-up a third", parallel=4, n_startup=5),
    Way(_UNIVARIATE, "SuccessiveHalving by 2 from a sixth", parallel=4, n_startup=5),
    Way(_TPE, "no pruner"),
    Way(_TPE, "SuccessiveHalving"),
    Way(_TPE, "Hyperband"),
    Way(_TPE, "Median, warm-up half"),
    Way(_RANDOM, _FROM_FIRST),
    Way(_RANDOM, _NOW),
    Way(_RANDOM, "Hyperband"),
    Way(_CMA, "no pruner"),
    Way(_CMA, _FROM_FIRST),
    Way("GP", "no pruner"),
    Way("GP", _NOW, parallel=4),
)
"""The first ones matter most for the defaults; GP takes 30 s of CPU a search."""
