from __future__ import annotations

from proxy.verify.breaker import Breaker


def test_opens_after_failures_in_a_row_and_lets_one_trial_through() -> None:
    breaker = Breaker(failures=3, open_for=10)
    breaker.failed(0)
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(1)
    breaker.failed(1)
    assert not breaker.is_open(1)
    breaker.failed(1)
    assert breaker.is_open(1)
    assert breaker.is_open(10.9)
    assert not breaker.is_open(11)
    assert not breaker.is_open(11), "asking alone does not use the trial up"
    breaker.reading(11)
    assert breaker.is_open(11), "only one trial at a time"
    breaker.failed(12)
    assert breaker.is_open(21.9)
    assert not breaker.is_open(22)
    breaker.succeeded()
    assert not breaker.is_open(22)


def test_a_trial_that_never_reports_does_not_keep_it_open_for_ever() -> None:
    breaker = Breaker(failures=1, open_for=5)
    breaker.failed(0)
    breaker.reading(5)
    assert breaker.is_open(9)
    assert not breaker.is_open(10)


def test_reading_while_closed_changes_nothing() -> None:
    breaker = Breaker(failures=2, open_for=5)
    breaker.failed(0)
    breaker.reading(0)
    assert not breaker.is_open(0)
