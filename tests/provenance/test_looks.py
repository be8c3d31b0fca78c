"""Looks at several domains: what may scan their tables is held back, and no more than that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from proxy.model import Observation, ReadRequest
from proxy.provenance import looks
from proxy.provenance.looks import Look, Looks, chains, concerned
from proxy.provenance.pauses import Pauses
from proxy.provenance.scans import Pace
from proxy.window import Proof
from tests.provenance.support import Clock, Shadow, answered, get

TABLES = {
    "payments": frozenset({"payments", "quotes"}),
    "holds": frozenset({"payments"}),
    "blog": frozenset({"posts"}),
    "users": frozenset({"users"}),
}


class Shop:
    """Live reads scan `payments` ten times a second each time of a domain that is not paused; reads that are made for
    proof scan the domain's own tables, unless its shadow reads another store; every second one is told of `late`."""

    def __init__(self, *, elsewhere: Sequence[str] = (), late: float = 0) -> None:
        self.late = late
        self.wakes: list[float] = []
        self.clock = Clock()
        self.elsewhere = elsewhere
        self.made: list[tuple[str, float]] = []
        self.live = 0.0
        self.seen: list[tuple[str, frozenset[str]]] = []
        self.shadow = Shadow(self.answer, [get("/a/1")])
        self.told: dict[str, tuple[Proof, str]] = {}

    async def answer(self, _request: ReadRequest) -> Observation:
        return answered()

    def told_of(self, tables: frozenset[str]) -> int:
        """Scans of reads made for proof that Postgres tells of by now."""
        return sum(
            at + self.late * (number % 2) <= self.clock.seconds
            for number, (domain, at) in enumerate(self.made)
            if domain not in self.elsewhere and tables & TABLES[domain]
        )

    async def sleep(self, seconds: float) -> None:
        """Time passes for all sleepers together, once there is nothing else to do."""
        until = self.clock.seconds + seconds
        self.clock.slept.append(seconds)
        self.wakes.append(until)
        while self.clock.seconds < until:
            for _ in range(20):
                await asyncio.sleep(0)
            if until == min(self.wakes) and self.clock.seconds < until:
                self.pass_by(until - self.clock.seconds)
        self.wakes.remove(until)

    def pass_by(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.live += seconds * 10 * sum(one not in self.shadow.paused for one in ("payments", "holds"))
        self.shadow.settling = {name: n - 1 for name, n in self.shadow.settling.items() if n > 1}

    def look(self, domain: str, *, alone: bool = False) -> Look:
        shop = self

        class Counting:
            async def read(self) -> int:
                return shop.told_of(TABLES[domain]) + (int(shop.live) if "payments" in TABLES[domain] else 0)

        return Look(domain, sorted(TABLES[domain]), [get(f"/{domain}/1")], Counting(), alone)

    async def run(self, *made: Look) -> dict[str, Proof]:
        reads = Counted(self)
        pace = Pace(20, 1.5, self.clock.monotonic, self.sleep)

        async def told(domain: str, proof: Proof, text: str) -> None:
            self.told[domain] = (proof, text)

        await Looks(made, TABLES, reads, pace, told).run()
        assert not self.shadow.paused
        return {name: proof for name, (proof, _) in self.told.items()}


class Counted(Pauses):
    """Writes down each read and who was paused then."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop.shadow)
        self._shop = shop

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        self._shop.seen.append((domain, frozenset(self._shop.shadow.paused)))
        self._shop.made.append((domain, self._shop.clock.seconds))
        return await super().shadow_read(domain, request)


async def test_scans_by_live_reads_of_another_domain_prove_nothing() -> None:
    shop = Shop(elsewhere=["holds"])
    assert await shop.run(shop.look("payments"), shop.look("holds")) == {"payments": "proven", "holds": "failed"}
    assert shop.live == 0, "nobody else has read the tables meanwhile"


@pytest.mark.parametrize("late", [1.0, 5.0, 10.0])
async def test_scans_of_the_look_before_that_are_told_of_late_prove_nothing(late: float) -> None:
    shop = Shop(elsewhere=["holds"], late=late)
    assert await shop.run(shop.look("payments"), shop.look("holds")) == {"payments": "proven", "holds": "failed"}


async def test_alone_or_with_others_only_who_shares_a_table_is_paused() -> None:
    shop = Shop()
    assert await shop.run(shop.look("blog")) == {"blog": "proven"}
    assert {paused for _, paused in shop.seen} == {frozenset({"blog"})}
    shop = Shop()
    assert await shop.run(shop.look("holds")) == {"holds": "proven"}
    assert {paused for _, paused in shop.seen} == {frozenset({"payments", "holds"})}


async def test_a_table_that_this_proxy_reads_by_itself_pauses_all_until_it_is_done() -> None:
    shop = Shop(elsewhere=["holds"])
    found = await shop.run(shop.look("holds"), shop.look("users", alone=True))
    assert found == {"users": "proven", "holds": "failed"}
    assert all(paused == frozenset(TABLES) for domain, paused in shop.seen if domain == "users")
    assert next(iter(shop.told)) == "users"
    last = [paused for domain, paused in shop.seen if domain == "holds"][-1]
    assert last == {"payments", "holds"}, "the others go on while this one waits for its counters"


async def test_exchanges_that_settle_are_waited_for_but_not_for_ever() -> None:
    shop = Shop()
    shop.shadow.settling = {"blog": 8}
    await shop.run(shop.look("blog"))
    began = shop.clock.slept.index(0.25)
    assert not shop.shadow.settling
    assert shop.clock.slept[began : began + 8] == [0.25] * 8
    shop = Shop()
    shop.shadow.settling = {"blog": 10_000}
    assert await shop.run(shop.look("blog")) == {"blog": "proven"}, "its own reads are its shadow's"
    assert shop.clock.seconds > looks.DRAIN_SECONDS


async def test_while_exchanges_of_others_go_on_settling_nothing_is_proven() -> None:
    shop = Shop()
    shop.shadow.settling = {"payments": 10_000}
    assert await shop.run(shop.look("holds"), shop.look("blog")) == {"holds": "unknown", "blog": "proven"}
    assert shop.told["holds"][1].startswith("exchanges of payments were still being settled 30 s after the pause")


def test_what_has_a_table_in_common_is_one_chain() -> None:
    shop = Shop()
    made = [shop.look(name) for name in ("payments", "blog", "holds")]
    found = [[look.domain for look in chain] for chain in chains(made)]
    assert sorted(found) == [["blog"], ["payments", "holds"]]
    assert concerned(made[1:2], TABLES) == {"blog"}
    assert concerned([], TABLES) == frozenset()
    assert concerned([shop.look("users", alone=True)], TABLES) == set(TABLES)
