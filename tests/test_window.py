"""Durations in buckets: nothing is called faster than it was, and hardly slower."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.window import MOST_BUCKETS, Latency, bucket_of, bucket_top


@given(st.floats(min_value=0, max_value=4_000, allow_nan=False))
def test_a_duration_is_at_most_a_tenth_below_the_top_of_its_bucket(seconds: float) -> None:
    top = bucket_top(bucket_of(seconds))
    assert top >= seconds * (1 - 1e-12)
    assert top <= max(seconds * 1.091, 1e-6)


def test_what_takes_longer_than_all_buckets_is_in_the_last() -> None:
    assert bucket_of(1e9) == MOST_BUCKETS
    assert bucket_of(-1.0) == 0


def test_quantiles_are_those_of_the_counts() -> None:
    latency = Latency({bucket_of(0.010): 94, bucket_of(0.100): 5, bucket_of(1.0): 1})
    assert latency.total == 100
    assert [latency.quantile(share) for share in (0.0, 0.94, 0.95, 0.99, 1.0)] == [
        bucket_top(bucket_of(seconds)) for seconds in (0.010, 0.010, 0.100, 0.100, 1.0)
    ]
    assert Latency().quantile(0.95) is None
