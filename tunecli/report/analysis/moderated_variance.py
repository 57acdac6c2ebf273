"""Variances of few values each, shrunk towards what all of them show together.

Smyth (Linear Models and Empirical Bayes Methods, Statistical Applications in Genetics and
Molecular Biology 3, 2004): variances s² with d degrees of freedom, whose true values scatter,
follow s0² times an F distribution with d and d0 degrees of freedom. Then (d0 s0² + d s²) / (d0 +
d) is a better estimate of each, with d0 + d degrees of freedom. Here s0² and d0 are fitted to the
middle of the variances: a few wild ones change neither, so that none is excused by its own
noise.

The differences of many trials from one share that one's noise, so all of them together know the
variance no better than 4 d degrees of freedom would (Satterthwaite, 1946: half of each variance of
a difference is the shared one). So d0 is at most 3 d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MOST = 3  # times d
_TAILS = np.array([0.15, 0.25, 0.35])  # below and above which a variance may be wild
_PRIORS = np.geomspace(0.25, 1000.0, 128)  # times d


@dataclass(frozen=True)
class VariancePrior:
    """What all variances show together.

    Attributes:
        variance: s0², about their median.
        n_free: d0, the weight of `variance` in degrees of freedom; 0 if there are too few.
    """

    variance: float = 0.0
    n_free: float = 0.0

    @classmethod
    def fitted(cls, variances: Array, n_free: int) -> VariancePrior:
        """Fit the prior to variances that have `n_free` degrees of freedom each.

        Variances of 0, such as those of constant predictions, show nothing and are left out.
        """
        from scipy.special import fdtri

        known = np.log(variances[variances > 0])
        if len(known) < 2:
            return cls()
        low = np.quantile(known, _TAILS, method="higher")
        high = np.quantile(known, 1 - _TAILS, method="lower")
        priors = n_free * _PRIORS
        ratios = [fdtri(n_free, priors, tails[:, None]) for tails in (1 - _TAILS, _TAILS)]
        widths = np.log(ratios[0] / ratios[1]).sum(axis=0)
        fitted = float(np.interp(-(high - low).sum(), -widths, priors))  # at most the last one
        variance = math.exp(float(np.median(known))) / float(fdtri(n_free, fitted, 0.5))
        return cls(variance, min(fitted, _MOST * n_free, (len(known) - 1) * n_free))

    def moderated(self, variances: Array, n_free: int) -> tuple[Array, float]:
        """Return the shrunk variances, and the degrees of freedom that each of them has now."""
        total = self.n_free + n_free
        return (self.n_free * self.variance + n_free * variances) / total, total
