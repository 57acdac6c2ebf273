from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunecli.search.suggest.visible_trials import VisibleTrials


@given(st.integers(1, 20), st.integers(0, 200))
def test_a_trial_sees_all_but_the_last_parallel_minus_one(parallel: int, number: int) -> None:
    assert VisibleTrials([(0, parallel)]).n_shown(number) == max(0, number - parallel + 1)


edits = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 20)), max_size=4, unique_by=lambda e: e[0]
)


@given(st.integers(1, 20), edits, st.integers(0, 100))
def test_what_was_shown_stays_shown_and_no_trial_sees_itself(
    first: int, later: list[tuple[int, int]], number: int
) -> None:
    lag = VisibleTrials([(0, first), *sorted(later)])
    shown = [lag.n_shown(n) for n in range(number + 1)]
    assert shown == sorted(shown)
    assert all(n_shown <= n for n, n_shown in enumerate(shown))


@given(st.integers(1, 20), edits, st.integers(0, 100))
def test_never_more_than_the_largest_parallel_are_under_way(
    first: int, later: list[tuple[int, int]], number: int
) -> None:
    lag = VisibleTrials([(0, first), *sorted(later)])
    largest = max([first, *(parallel for _, parallel in later)])
    assert number - lag.n_shown(number) < largest


def test_raising_parallel_keeps_what_was_known() -> None:
    lag = VisibleTrials([(0, 2), (10, 8)])
    assert [lag.n_shown(n) for n in (9, 10, 16, 17, 18)] == [8, 8, 9, 10, 11]
