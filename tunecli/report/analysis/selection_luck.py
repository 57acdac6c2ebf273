"""How lucky the best of many trials is, and how much scores vary by chance.

The best of many noisy scores is lucky as well as good. Its luck is estimated by repeating the
selection: noise is drawn anew around the estimated true scores, and the noise of each new winner
is its luck. The true scores are those of nonparametric empirical Bayes (Kiefer and Wolfowitz,
Annals of Mathematical Statistics 27, 1956; Jiang and Zhang, Annals of Statistics 37, 2009):
observed scores spread by noise, too, and a bootstrap around them would find too little luck. All
scores here are larger for better trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_N_DRAWS = 2000
_N_STEPS = 100  # of the EM algorithm
_N_SUPPORT = 41  # points near the best score, in addition to the observed scores
_FAR = 8.0  # standard errors below the best, beyond which no trial could have won
_NEAR = 4.0
_MOST = 200  # trials that can be the best


@dataclass(frozen=True)
class FoldNoise:
    """Variances of scores over folds.

    Attributes:
        own: of the score of one network on one fold, without the effect a fold has on all trials.
        mean: of a trial's mean over all folds and repeats, without that effect.
        fold: of the scores of one trial over the folds of one repeat.
    """

    own: float
    mean: float
    fold: float


def winners_luck(values: Values, variance: float, rng: np.random.Generator) -> float:
    """Return the expected noise in the best of these scores; 0 or more.

    Args:
        values: one observed score per trial, (n_trials,).
        variance: of the noise of each score that no other trial shares.
    """
    deviation = np.sqrt(variance)
    if not 0 < deviation < np.inf:
        return 0.0
    best_first = np.sort(values)[::-1][:_MOST]
    near = best_first[best_first >= best_first[0] - _FAR * deviation] / deviation
    noise = rng.normal(size=(_N_DRAWS, len(near)))
    winners = (_true_values(near) + noise).argmax(axis=1)
    return max(float(noise[np.arange(_N_DRAWS), winners].mean() * deviation), 0.0)


def _true_values(values: Values) -> Values:
    """Return the posterior means of true scores, from scores with noise of variance 1.

    The prior is estimated by the EM algorithm on a fixed support.
    """
    near = np.linspace(values.max() - _NEAR, values.max(), _N_SUPPORT)
    support = np.concatenate([values, near])
    likelihood = np.exp(-0.5 * (values[:, None] - support) ** 2)
    prior = np.full(len(support), 1 / len(support))
    for _ in range(_N_STEPS):
        prior = _posterior(likelihood, prior).mean(axis=0)
    means: Values = _posterior(likelihood, prior) @ support
    return means


def _posterior(likelihood: Values, prior: Values) -> Values:
    joint = likelihood * prior
    normalized: Values = joint / joint.sum(axis=1, keepdims=True)
    return normalized


def fold_noise(scores: Values) -> FoldNoise:
    """Return how trials vary over folds.

    The effect of a fold and the noise are medians over trials, which a few unstable trials do not
    move. Repeats score the same rows again: they average out the noise of training, but not that
    of the rows. What the repeats of one trial have in common is therefore noise of rows.

    Args:
        scores: of the leading trials, (n_trials, n_repeats, n_folds); at least two folds.
    """
    from scipy.special import gammaincinv

    n_trials, n_repeats, n_folds = scores.shape
    centred = scores - scores.mean(axis=(1, 2), keepdims=True)
    rest = centred - np.median(centred, axis=0)
    unbiased = n_trials / max(n_trials - 1, 1)
    df = n_repeats * n_folds - 1
    variances = rest.reshape(n_trials, -1).var(axis=1, ddof=1) * unbiased
    own = float(np.median(variances) / (2 * gammaincinv(df / 2, 0.5) / df))
    trained_anew = float(np.mean(rest.mean(axis=2).var(axis=1))) * unbiased
    trained_anew *= n_repeats / max(n_repeats - 1, 1)
    return FoldNoise(
        own=own,
        mean=max(own / n_folds - trained_anew, 0.0) + trained_anew / n_repeats,
        fold=float(scores.var(axis=2, ddof=1).mean()),
    )
