"""The bound against the definition of Clopper and Pearson, computed in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.bound import comparisons_needed, upper_bound


def probability_of_at_most(diffs: int, comparisons: int, rate: Fraction) -> Fraction:
    return sum(
        (comb(comparisons, k) * rate**k * (1 - rate) ** (comparisons - k) for k in range(diffs + 1)),
        Fraction(0),
    )


@settings(deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_it_is_the_rate_at_which_so_few_diffs_have_one_chance_in_twenty(case: tuple[int, int]) -> None:
    diffs, comparisons = case
    rate = Fraction(upper_bound(diffs, comparisons))
    assert float(probability_of_at_most(diffs, comparisons, rate)) == pytest.approx(0.05, rel=1e-9)


def test_edges() -> None:
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(7, 7) == 1.0
    assert upper_bound(0, 1) == pytest.approx(0.95)
    assert upper_bound(0, 10_000) == pytest.approx(2.9952838e-4, rel=1e-6)
    assert upper_bound(0, 10**12) == pytest.approx(2.995732e-12, rel=1e-6)


@pytest.mark.parametrize(("diffs", "comparisons"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(diffs: int, comparisons: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        upper_bound(diffs, comparisons)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 10_000))
def test_it_falls_with_comparisons_and_rises_with_diffs(diffs: int, more: int) -> None:
    here = upper_bound(diffs, diffs + more)
    assert upper_bound(diffs, diffs + more + 1) < here
    assert upper_bound(diffs + 1, diffs + 1 + more) > here
    assert diffs / (diffs + more) < here <= 1


@settings(deadline=None)
@given(st.integers(0, 20), st.floats(1e-6, 0.5))
def test_needed_is_the_least_that_suffices(diffs: int, limit: float) -> None:
    needed = comparisons_needed(diffs, limit)
    assert needed is not None
    assert upper_bound(diffs, needed) <= limit
    assert upper_bound(diffs, needed - 1) > limit


def test_a_limit_of_zero_is_never_reached() -> None:
    assert comparisons_needed(0, 0.0) is None
