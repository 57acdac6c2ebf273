from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tunecli.report.analysis.moderated_variance import VariancePrior


@pytest.mark.parametrize("n_free", [2, 4, 9])
@pytest.mark.parametrize("times", [1, 2])
def test_the_prior_is_that_from_which_the_variances_come(n_free: int, times: int) -> None:
    """True variances are d0 s0² over a chi-squared variable; each estimate has d free values."""
    draw, n_prior = np.random.default_rng(0), times * n_free
    true = 0.04 * n_prior / draw.chisquare(n_prior, 20_000)
    seen = true * draw.chisquare(n_free, len(true)) / n_free
    prior = VariancePrior.fitted(seen, n_free)
    assert prior.variance == pytest.approx(0.04, rel=0.05)
    assert prior.n_free == pytest.approx(n_prior, rel=0.15)
    shrunk, n_total = prior.moderated(seen, n_free)
    assert n_total == prior.n_free + n_free
    error, own = (np.median(np.abs(np.log(one / true))) for one in (shrunk, seen))
    assert error < own


def test_equal_variances_share_what_the_common_reference_allows() -> None:
    """At most four times the degrees of freedom of one, however many trials there are."""
    seen = stats.chi2.rvs(4, size=5000, random_state=0) / 4
    prior = VariancePrior.fitted(seen, 4)
    assert prior.n_free == pytest.approx(12.0)
    assert prior.variance == pytest.approx(1.0, rel=0.05)


def test_a_wild_variance_moves_nothing_but_itself() -> None:
    seen = stats.chi2.rvs(4, size=30, random_state=0) / 4
    prior, with_a_wild_one = (
        VariancePrior.fitted(values, 4) for values in (seen, np.append(seen, 1e6))
    )
    assert with_a_wild_one.variance == pytest.approx(prior.variance, rel=0.1)
    (wild,), _ = with_a_wild_one.moderated(np.array([1e6]), 4)
    assert wild < 0.5e6


@pytest.mark.parametrize("variances", [[], [2.0], [0.0, 0.0, 2.0]])
def test_with_too_few_variances_each_is_its_own(variances: list[float]) -> None:
    prior = VariancePrior.fitted(np.array(variances), 4)
    shrunk, n_free = prior.moderated(np.array([3.0]), 4)
    assert (shrunk.tolist(), n_free) == ([3.0], 4)
