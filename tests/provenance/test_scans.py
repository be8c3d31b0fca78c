"""Shadow reads held against what Postgres counts: with counters that a test writes, and with real ones."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random
import re
from collections.abc import Callable

import asyncpg
import pytest

from proxy.model import Observation, ReadRequest
from proxy.provenance import scans
from proxy.provenance.counters import Counters, CountersError
from proxy.provenance.scans import Background, Figures, Pace, cannot, judge, scan
from proxy.settings import Settings
from tests.provenance.support import Clock, Shadow, answered, get

REQUESTS = [get("/api/a/1"), get("/api/a/2")]


class Written:
    """Counters that move by the shadow's reads, by the time, and late."""

    def __init__(self, shadow: Shadow, clock: Clock, *, per_read: float, rate: float = 0, late: float = 0) -> None:
        self.shadow, self.clock = shadow, clock
        self.per_read, self.rate, self.late = per_read, rate, late
        self.known: list[tuple[float, int]] = []

    async def read(self) -> int:
        now = self.clock.seconds
        self.known.append((now, len(self.shadow.read)))
        told = max((count for at, count in self.known if at <= now - self.late), default=0)
        return int(told * self.per_read + now * self.rate)


def shadow_of(status: int = 200) -> Shadow:
    async def answer(_request: ReadRequest) -> Observation:
        return answered(status)

    return Shadow(answer, REQUESTS)


async def looked(
    shadow: Shadow, reads: int = 40, *, per_read: float, rate: float = 0, late: float = 0
) -> tuple[str, str, Clock]:
    clock = Clock()
    counters = Written(shadow, clock, per_read=per_read, rate=rate, late=late)
    pace = Pace(reads, 2.0, clock.monotonic, clock.sleep)
    proof, text = await scan("a", ["t"], REQUESTS, shadow, counters, pace)
    assert not shadow.paused
    assert shadow.pauses == 1
    return proof, text, clock


async def test_scans_that_rise_with_the_reads_prove() -> None:
    shadow = shadow_of()
    proof, text, clock = await looked(shadow, per_read=1)
    assert proof == "proven"
    assert text.startswith("Postgres saw 50 reads of the shadow in t: 50 scans in ")
    assert scans.FLUSH_SECONDS <= clock.seconds < scans.FLUSH_SECONDS + 6
    assert {request.target for request in shadow.read} == {"/api/a/1", "/api/a/2"}


async def test_reads_without_a_trace_fail_and_it_is_waited_for_late_counters_first() -> None:
    proof, text, clock = await looked(shadow_of(), per_read=0)
    assert proof == "failed"
    assert re.match(r"61 reads of the shadow left no trace in t: it may not read Postgres", text)
    assert clock.seconds >= 2 * scans.FLUSH_SECONDS


async def test_counters_that_come_late_still_prove() -> None:
    proof, _, clock = await looked(shadow_of(), per_read=1, late=2.5)
    assert proof == "proven"
    assert clock.seconds < scans.FLUSH_SECONDS + 12


async def test_counters_that_come_ten_seconds_late_do_not_fail() -> None:
    """In so long a time others might have made as many scans, so more reads are made."""
    proof, text, _ = await looked(shadow_of(), per_read=1, late=10)
    assert proof == "proven", text


@pytest.mark.parametrize("seed", range(5))
async def test_a_domain_of_which_few_routes_read_the_tables_is_read_more_often(seed: int) -> None:
    proof, text = await by_chance(1, seed, per_read=0.34)
    assert proof == "proven", text


@pytest.mark.parametrize("rate", [0.5, 1, 2, 5, 10, 30])
async def test_a_background_alone_is_no_proof(rate: float) -> None:
    """Others scan the tables all the time, by chance, and the shadow does not."""
    for seed in range(15):
        assert (await by_chance(rate, seed, per_read=0))[0] != "proven", seed


@pytest.mark.parametrize("rate", [0.5, 2, 10, 30])
async def test_reads_stand_out_of_a_background(rate: float) -> None:
    for seed in range(5):
        proof, text = await by_chance(rate, seed, per_read=1)
        assert proof == "proven", text


async def by_chance(rate: float, seed: int, per_read: float) -> tuple[str, str]:
    """A look while others scan at random moments, `rate` a second."""
    draw, shadow, clock = random.Random(seed), shadow_of(), Clock()
    others = list(
        itertools.takewhile(lambda at: at < 60, itertools.accumulate(iter(lambda: draw.expovariate(rate), -1)))
    )

    class Busy(Written):
        async def read(self) -> int:
            return await super().read() + bisect.bisect(others, self.clock.seconds)

    counters = Busy(shadow, clock, per_read=per_read)
    return await scan("a", ["t"], REQUESTS, shadow, counters, Pace(40, 2.0, clock.monotonic, clock.sleep))


async def test_a_background_that_is_too_loud_is_not_known_rather_than_failed() -> None:
    proof, text = await by_chance(20_000, 1, per_read=1)
    assert proof == "unknown"
    assert "raise provenance.reads" in text


async def test_one_burst_of_others_is_no_proof() -> None:
    """As many scans as reads, once, just while the shadow is read."""
    shadow, clock = shadow_of(), Clock()

    class Burst(Written):
        async def read(self) -> int:
            return 500 if self.shadow.read[len(REQUESTS) :] else 0

    counters = Burst(shadow, clock, per_read=0)
    proof, _ = await scan("a", ["t"], REQUESTS, shadow, counters, Pace(40, 2.0, clock.monotonic, clock.sleep))
    assert proof == "failed"


async def test_what_was_read_just_before_is_no_background() -> None:
    """It is told of ten seconds late at the worst."""
    shadow, clock = shadow_of(), Clock()

    class Late(Written):
        async def read(self) -> int:
            return await super().read() + min(200, int(self.clock.seconds * 20))

    counters = Late(shadow, clock, per_read=1)
    proof, text = await scan("a", ["t"], REQUESTS, shadow, counters, Pace(40, 2.0, clock.monotonic, clock.sleep))
    assert (proof, "0 in 2.0 s without reads" in text) == ("proven", True), text


async def test_a_read_whose_ids_have_to_be_looked_up_each_time_is_not_repeated() -> None:
    """In the tables of the id map the look-ups alone would be a proof."""
    text = "asked with ids that the map does not know: 7"

    async def answer(request: ReadRequest) -> Observation:
        return answered()._replace(detail=text if request is REQUESTS[0] else "")

    shadow = Shadow(answer)
    assert await scans.readable("a", REQUESTS, shadow) == REQUESTS[1:]
    with pytest.raises(scans.UnreadableError, match=text):
        await scans.readable("a", REQUESTS[:1], shadow)


async def test_what_the_shadow_does_not_answer_proves_nothing() -> None:
    for status in (404, 500):
        proof, text, _ = await looked(shadow_of(status), per_read=1)
        assert (proof, text) == (
            "unknown",
            f"the shadow answers none of 2 requests: status {status}",
        )


async def test_live_reads_go_on_when_the_look_is_given_up() -> None:
    started = asyncio.Event()

    async def answer(_request: ReadRequest) -> Observation:
        started.set()
        await asyncio.Event().wait()
        return answered()

    shadow = Shadow(answer, REQUESTS)
    clock = Clock()
    async with asyncio.TaskGroup() as group:
        counters = Written(shadow, clock, per_read=1)
        task = group.create_task(scan("a", ["t"], REQUESTS, shadow, counters, Pace(40, 2.0)))
        await started.wait()
        assert shadow.paused == {"a"}
        task.cancel()
    assert not shadow.paused


def test_figures_are_told_in_each_answer() -> None:
    quiet, loud = Background(0, 2.0), Background(900, 8.0, 30)
    for last in (Figures(20, 20, 1.0, quiet, 24), Figures(20, 1, 12.0, quiet, 60), Figures(20, 3000, 12.0, loud, 60)):
        text = judge([last], ["users", "posts"])[1]
        assert "users, posts" in text
        assert f"{last.rise} scans in {last.seconds:.1f} s" in text
        assert f"{last.background.scans} in {last.background.seconds:.1f} s without reads" in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"provenance": {"scans": False}}, "provenance.scans"),
        ({"tables": []}, "the domain names no tables"),
        ({"translate_ids": "legacy"}, "not read from Postgres"),
    ],
)
def test_a_domain_that_cannot_be_looked_at_says_why(changes: dict[str, object], why: str) -> None:
    def made(postgres: str, **domain: object) -> Settings:
        return Settings.model_validate(
            {
                "primary": {"url": "http://127.0.0.1:1"},
                "postgres": {"dsn": postgres},
                "domains": {"a": {"tables": ["t"], "routes": ["GET /a"], **domain}},
            }
        )

    dsn = "postgresql://127.0.0.1/x"
    assert cannot(made(dsn), made(dsn).domains["a"]) is None
    assert why in str(cannot(made(dsn), made(dsn, **changes).domains["a"]))
    assert "postgres.dsn" in str(cannot(made(""), made("").domains["a"]))


@pytest.mark.slow
async def test_a_real_postgres_sees_the_reads_of_a_shadow_that_reads_it(pg_database: str) -> None:
    pool = await asyncpg.create_pool(pg_database, min_size=1, max_size=4)
    await pool.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)")

    async def of_postgres(_request: ReadRequest) -> Observation:
        await pool.fetchval("SELECT id FROM t WHERE id = 1")
        return answered()

    counters = Counters(pg_database, ["t"])
    try:
        proof, text = await scan("a", ["t"], REQUESTS, Shadow(of_postgres), counters, Pace(12, 1.0))
    finally:
        await counters.close()
        await pool.close()
    assert proof == "proven", text


async def test_scans_of_partitions_count_for_their_table(pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(
        """CREATE SCHEMA app; CREATE TABLE app.t (id int) PARTITION BY RANGE (id);
        CREATE TABLE t_low PARTITION OF app.t FOR VALUES FROM (0) TO (10);
        CREATE TABLE plain (id int)"""
    )
    counters = Counters(pg_database, ["app.t", "plain"])
    before = await counters.read()
    await connection.fetch("SELECT * FROM app.t")
    await connection.fetch("SELECT * FROM plain")
    await connection.execute("SELECT pg_stat_force_next_flush()")
    assert await counters.read() == before + 2
    await counters.close()
    await connection.close()


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        (["gone", "t"], "no such table for the account of postgres.dsn: gone; correct tables"),
        (["v"], "v is no table"),
    ],
)
async def test_what_is_not_counted_says_why(pg_database: str, tables: list[str], why: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute("CREATE TABLE t (id int); CREATE VIEW v AS SELECT * FROM t")
    await connection.close()
    with pytest.raises(CountersError, match=why):
        await Counters(pg_database, tables).read()


async def test_a_postgres_that_is_away_is_not_known(unused_tcp_port_factory: Callable[[], int]) -> None:
    counters = Counters(f"postgresql://127.0.0.1:{unused_tcp_port_factory()}/x", ["t"])
    proof, text = await scan("a", ["t"], REQUESTS, shadow_of(), counters, Pace(8, 0.1))
    assert proof == "unknown"
    assert text.startswith("Postgres' counters cannot be read: ")
