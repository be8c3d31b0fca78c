"""Traffic against a real marketplace: every domain gets its reads, nothing fails, and the end comes when asked for."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter

import aiohttp
import pytest

from proxy.demo.marketplace.flags import DOMAINS, primary_flags
from proxy.demo.traffic import Options, Shares, run
from proxy.demo.traffic_mix import READS, WRITERS, World, read
from tests.demo.pairs import fresh, instance, pair


@pytest.mark.slow
async def test_traffic_touches_everything_and_sees_no_failure(mongo_url: str, pg_database: str) -> None:
    shares = Shares(write=0.1, conditional=0.15, missing=0.1, break_off=0.03, head=0.05, search=0.03)
    async with pair(fresh(mongo_url, pg_database)) as both:
        tally = await run(Options(both.primary, 6, 6, 150, 1, shares), asyncio.Event())
    assert (tally.failures, dict(tally.errors)) == (0, {})
    assert set(tally.by_domain) == {domain.domain for domain in DOMAINS}
    kinds = {"read", "write", "conditional", "head", "missing", "bad_request", "search", "broken_off"}
    assert kinds | {"socket", "socket_message", "stream_lines"} <= set(tally.by_class)
    assert {200, 201, 304, 400, 404} <= set(tally.by_status)


@pytest.mark.slow
async def test_sigterm_ends_it_at_once_with_a_summary(mongo_url: str, pg_database: str) -> None:
    async with instance(fresh(mongo_url, pg_database), primary_flags()) as base:
        argv = ["-m", "proxy.demo.traffic", "--target", base, "--duration", "600", "--rate", "300"]
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        async with aiohttp.ClientSession() as session:
            # Payments are made now and then: once there is another one, traffic is well under way.
            await asyncio.wait_for(until_traffic_writes(session, base), 60)
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), 5)
    summary = json.loads(out.splitlines()[-1])
    assert process.returncode == 0
    assert summary["failures"] == 0
    assert summary["requests"] > 0


async def until_traffic_writes(session: aiohttp.ClientSession, base: str) -> None:
    async def payments() -> int:
        async with session.get(f"{base}/api/payment?limit=1") as response:
            return int((await response.json())["pagination"]["total"])

    before = await payments()
    while await payments() == before:  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.1)


async def test_an_absent_target_is_told(unused_tcp_port: int) -> None:
    target = f"http://127.0.0.1:{unused_tcp_port}"
    tally = await run(Options(target, 30, 2, 50, 1), asyncio.Event())
    assert tally.failures == 1
    assert "looking around" in next(iter(tally.errors))


def world() -> World:
    made = World()
    for mixes in READS.values():
        for mix in mixes:
            for name in mix.path.split("{")[1:]:
                made.learn(name.split("}")[0], ["a", "b"])
    for pool in ("notification", "chat"):
        made.learn_owned(pool, ["x"], "a")
    for pool in ("session", "seller"):
        made.learn(pool, ["s"])
    return made


def test_the_mix_covers_every_domain_and_is_the_same_for_a_seed() -> None:
    assert set(READS) == {domain.domain for domain in DOMAINS}
    one, two = (
        [read(domain, world(), random.Random(seed)) for seed in range(50) for domain in READS] for _ in range(2)
    )
    assert one == two
    written = Counter(write(world(), random.Random(1)).domain for write in WRITERS)
    assert len(written) >= 14


def test_what_clients_remember_is_bounded() -> None:
    made = World()
    made.learn("user", [str(n) for n in range(5000)])
    made.learn_owned("chat", [str(n) for n in range(5000)], "a")
    assert (len(made.pools["user"]), len(made.owned["chat"])) == (2000, 2000)
