"""Every body that an exchange holds counts in `limits.buffered`: the shadow's, what is decoded, what is read again."""

from __future__ import annotations

import gzip
from pathlib import Path

from proxy.model import Observation, Side, Verdict
from proxy.verify.exchange import Buffered, Exchange
from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import running, settings

LARGE = b'{"text":"%b"}' % (b"x" * 100_000)
LIMIT = 250_000


def exchange(buffered: Buffered) -> Exchange:
    return Exchange("GET", "/", (), max_body=1_000, buffered=buffered, clock=lambda: 0.0, wants_request_body=False)


async def test_what_is_kept_counts_until_it_is_released_and_not_towards_the_largest_body() -> None:
    buffered = Buffered(2_000)
    one = exchange(buffered)
    seen = Observation(Side.SHADOW, 200, (), b"x" * 1_500)
    assert one.keep(seen) is seen
    one.response_head(200, ())
    one.response_body(b"y" * 400)
    assert buffered.held == 1_900
    refused = one.keep(Observation(Side.SHADOW, 200, (), b"z" * 101))
    assert (refused.status, refused.body, refused.error) == (None, None, "no_room")
    nothing = Observation(Side.SHADOW, error="timeout")
    assert one.keep(nothing) is nothing
    one.end()
    one.release()
    one.release()
    assert buffered.held == 0


async def test_bodies_of_the_shadow_are_held_within_the_limit(tmp_path: Path) -> None:
    async with (
        backend(answering(response(b'{"text":"y"}'))) as primary,
        backend(answering(response(LARGE))) as shadow,
    ):
        made = settings(tmp_path, primary, shadow, settle={"delay": 0.5, "attempts": 1}, limits={"buffered": LIMIT})
        async with running(made) as proxy:
            verifier = proxy.application.verifier
            assert verifier is not None
            for _ in range(10):
                assert (await fetch(proxy.url)).endswith(b'{"text":"y"}')
                assert verifier.held <= LIMIT
            await proxy.until(lambda counts: counts.verdicts.get(Verdict.NO_ROOM, 0) >= 8)
            assert 0 < verifier.held <= LIMIT
            counts = await proxy.until(lambda counts: counts.under_way == 0)
            assert verifier.held == 0
    # Two fitted, and there was room to read one of them again, unless both asked for it at the same moment.
    assert counts.verdicts.get(Verdict.DIFF, 0) <= 1
    assert counts.verdicts[Verdict.NO_ROOM] == 10 - counts.verdicts.get(Verdict.DIFF, 0)


async def test_what_a_coding_hides_counts_as_large_as_it_is(tmp_path: Path) -> None:
    coded = gzip.compress(LARGE)
    packed = response(coded, b"Content-Encoding: gzip")
    async with backend(answering(packed)) as primary, backend(answering(packed)) as shadow:
        for limit, verdict in ((LIMIT, Verdict.MATCH), (len(LARGE), Verdict.NO_ROOM)):
            own = tmp_path / str(limit)
            own.mkdir()
            made = settings(own, primary, shadow, limits={"buffered": limit})
            async with running(made) as proxy:
                assert (await fetch(proxy.url)).endswith(coded)
                counts = await proxy.until(lambda counts: counts.under_way == 0 and counts.observed == 1)
                assert counts.verdicts == {verdict: 1}
                assert proxy.application.verifier is not None
                assert proxy.application.verifier.held == 0
