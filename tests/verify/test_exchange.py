"""The tap keeps what it is told within its bounds and resolves exactly once."""

from __future__ import annotations

from proxy.verify.exchange import Buffered, Exchange


def opened(buffered: Buffered, max_body: int = 10) -> Exchange:
    return Exchange("GET", "/", (), max_body=max_body, buffered=buffered, clock=lambda: 1.0, wants_request_body=False)


async def test_a_whole_answer() -> None:
    buffered = Buffered(100)
    tap = opened(buffered)
    tap.response_head(200, ((b"A", b"b"),))
    tap.response_body(b"123")
    tap.response_body(b"45")
    assert buffered.held == 5
    tap.end()
    tap.failed("reset")
    tap.cancelled()
    seen = await tap.primary
    assert (seen.status, seen.body, seen.error) == (200, b"12345", None)
    tap.release()
    assert buffered.held == 0


async def test_too_large_is_said_once_and_holds_nothing_more() -> None:
    buffered = Buffered(100)
    tap = opened(buffered)
    tap.response_head(200, ())
    for _ in range(50):
        tap.response_body(b"123")
    tap.end()
    assert (await tap.primary).error == "too_large"
    assert buffered.held <= 10
    tap.release()
    assert buffered.held == 0


async def test_all_exchanges_together_are_bounded() -> None:
    buffered = Buffered(8)
    first, second = opened(buffered), opened(buffered)
    first.response_body(b"12345678")
    second.response_body(b"1")
    assert (await second.primary).error == "no_room"
    first.end()
    assert (await first.primary).body == b"12345678"


async def test_streams_without_an_end_hold_nothing() -> None:
    for status, headers in ((101, ()), (200, ((b"Content-Type", b"text/event-stream"),))):
        buffered = Buffered(100)
        tap = opened(buffered)
        tap.response_head(status, headers)
        tap.response_body(b"123")
        assert tap.primary.done()
        assert buffered.held == 0


async def test_the_client_goes_away() -> None:
    tap = opened(Buffered(100))
    tap.response_head(200, ())
    tap.cancelled()
    tap.end()
    assert (await tap.primary).error == "cancelled"


async def test_what_comes_after_the_release_is_not_held() -> None:
    buffered = Buffered(100)
    tap = opened(buffered)
    tap.response_head(200, ())
    tap.response_body(b"12")
    tap.release()
    tap.response_body(b"345")
    tap.end()
    assert buffered.held == 0
