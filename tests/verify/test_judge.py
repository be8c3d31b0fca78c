"""Every verdict from what was observed, without a socket in sight."""

from __future__ import annotations

import pytest

from comparators.model import Comparison, Difference, Kind
from proxy.model import Headers, Observation, Side, Verdict
from proxy.verify.judge import Attempt, delays, primary_verdict, settled, shadow_failed


def seen(status: int | None = 200, error: str | None = None, headers: Headers = ()) -> Observation:
    return Observation(Side.PRIMARY, status, headers, b"{}", error)


@pytest.mark.parametrize(
    ("primary", "wanted"),
    [
        (seen(), None),
        (seen(404), None),
        (seen(500), Verdict.PRIMARY_ERROR),
        (seen(None, "refused"), Verdict.PRIMARY_ERROR),
        (seen(None, "too_large"), Verdict.TOO_LARGE),
        (seen(200, "coding"), Verdict.NOT_COMPARABLE),
        (seen(304), Verdict.NOT_MODIFIED),
        (seen(206), Verdict.NOT_COMPARABLE),
        (seen(101), Verdict.NOT_COMPARABLE),
        (seen(200, None, ((b"Content-Type", b"text/event-stream; charset=utf-8"),)), Verdict.NOT_COMPARABLE),
    ],
)
def test_what_the_primary_alone_decides(primary: Observation, wanted: Verdict | None) -> None:
    assert primary_verdict(primary) is wanted


@pytest.mark.parametrize(
    ("shadow", "failed"),
    [
        (seen(200), False),
        (seen(404), False),
        (seen(500), True),
        (seen(None, "timeout"), True),
        (seen(None, "too_large"), True),
    ],
)
def test_when_a_shadow_has_failed(shadow: Observation, failed: bool) -> None:
    assert shadow_failed(shadow) is failed


def differs(*paths: str, drift: tuple[str, ...] = (), total: int | None = None) -> Attempt:
    found = tuple(Difference(path, Kind.VALUE_CHANGED, 1, 2) for path in paths)
    return Attempt(Comparison(found, (), len(found) if total is None else total), drift, "")


EQUAL = Attempt(Comparison(), (), "")
UNREAD = Attempt(None, (), "")


@pytest.mark.parametrize(
    ("attempts", "wanted"),
    [
        ([EQUAL], Verdict.TRANSIENT),
        ([differs("$.a"), UNREAD, EQUAL], Verdict.TRANSIENT),
        ([differs("$.a")], Verdict.DIFF),
        ([], Verdict.DIFF),
        ([UNREAD, UNREAD], Verdict.DIFF),
        ([differs("$.a", drift=("$.a",))], Verdict.UNSTABLE),
        ([differs("$.a.b", "$.a[0]", drift=("$.a",))], Verdict.UNSTABLE),
        ([differs("$.ab", drift=("$.a",))], Verdict.DIFF),
        ([differs("$.a", "$.b", drift=("$.a",))], Verdict.DIFF),
        ([differs("$.a", drift=("$.a",)), differs("$.a")], Verdict.DIFF),
        ([differs("$.a", drift=("$.a",), total=101)], Verdict.DIFF),
        ([differs("$.a", drift=("$.a",)), UNREAD], Verdict.UNSTABLE),
    ],
)
def test_settled(attempts: list[Attempt], wanted: Verdict) -> None:
    assert settled(attempts) is wanted


def test_delays_double_and_a_known_finding_is_read_again_once_at_the_end() -> None:
    assert delays(0.5, 2, 3, known=False) == (0.5, 1.0, 2.0)
    assert delays(0.5, 2, 3, known=True) == (3.5,)
    assert delays(0.5, 2, 0, known=True) == ()
