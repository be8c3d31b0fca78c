"""A domain that is healed while the instances run answers alike from then on, and its backend says it is another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from proxy.demo.bugs import ALL
from proxy.demo.heal import Heal, Healing, Moment, changed, line_of, parse_heals
from proxy.demo.marketplace.healing import CONTROL_FIELD
from proxy.demo.processes import ProcessError
from proxy.errors import ShadowreadError
from tests.demo.pairs import CONTROL, Pair, Read, eventually, every_read, fresh, pair

HEALTH = Read("", "", "/api/health")
UNSEEN: dict[str, Any] = {"gate": "closed", "verdicts": {}, "conditions": [], "reasons": []}
OPEN: dict[str, Any] = {"gate": "open", "conditions": [{"name": "diffs", "ok": True}], "reasons": []}
CLOSED = {
    "gate": "closed",
    "verdicts": {"diff": 3},
    "conditions": [{"name": "diffs", "ok": False}],
    "reasons": ["3 diffs"],
}


async def health(both: Pair, base: str) -> tuple[str, dict[str, str]]:
    async with both.session.get(base + HEALTH.path) as response:
        told = await response.json()
    return told["version"], told["checks"]["postgres"]["storeModes"]


async def heal(both: Pair, base: str, domain: str, word: str = CONTROL) -> tuple[int, dict[str, Any]]:
    headers = {CONTROL_FIELD: word}
    async with both.session.post(f"{base}/api/demo/heal/{domain}", headers=headers) as response:
        return response.status, await response.json()


async def differing(both: Pair, domain: str) -> set[str]:
    return {read.route for read in every_read() if read.domain == domain and await both.differs(read)}


async def test_a_healed_domain_differs_no_more_and_the_version_tells_of_it(mongo_url: str, pg_database: str) -> None:
    async with pair(fresh(mongo_url, pg_database), ALL) as both:
        assert (await health(both, both.shadow))[0] == (await health(both, both.primary))[0] == "2.8.79"
        assert (await heal(both, both.shadow, "blog", "a guess"))[0] == 404
        assert (await heal(both, both.shadow, "nothing"))[0] == 404
        assert await differing(both, "blog") == {"GET /api/blog/posts", "GET /api/blog/posts/{slug}"}
        status, told = await heal(both, both.shadow, "blog")
        assert (status, sorted(told["bugs"])) == (200, ["blog_empty_tags_null", "blog_total_counts_deleted"])
        assert await differing(both, "blog") == set()
        assert await differing(both, "points") == {"GET /api/points/users/{userId}"}
        assert (await health(both, both.shadow))[0] == told["version"] == "2.8.79+fixed.blog"
        assert (await health(both, both.primary))[0] == "2.8.79"

        assert (await health(both, both.shadow))[1]["releaseHold"] == "dual"
        holds = Read("release_holds", "GET /api/release-holds", "/api/release-holds")
        primary = await both.fetch(both.primary, holds)
        assert primary == await both.fetch(both.shadow, holds)
        await heal(both, both.shadow, "release_holds")
        version, modes = await health(both, both.shadow)
        assert (version, set(modes.values())) == ("2.8.79+fixed.blog.release-holds", {"postgres"})
        assert primary != await both.fetch(both.shadow, holds)  # other ids, at last
        assert await differing(both, "release_holds") == set()


async def test_what_was_never_written_to_postgres_is_there_after_the_writer_was_healed(
    mongo_url: str, pg_database: str
) -> None:
    stores = fresh(mongo_url, pg_database)
    async with pair(stores, frozenset({"dual_write_gap"})) as both:
        gaps = "SELECT legacy_id FROM pg_dualwrite_gaps WHERE resolved_at IS NULL"
        connection = await asyncpg.connect(stores.pg_dsn)
        try:
            missing = [row["legacy_id"] for row in await connection.fetch(gaps)]
            assert missing
            status, told = await heal(both, both.primary, "payments")
            assert (status, told["repaired"]) == (200, len(missing))
            assert await connection.fetch(gaps) == []
        finally:
            await connection.close()
        await both.load_ids()
        for one in missing:
            assert not await both.differs(Read("payments", "", f"/api/payment/{one}"))
        buyer, seller = await two_users(both)
        body = {"amount": 12.5, "buyerId": buyer, "sellerId": seller}
        async with both.session.post(f"{both.primary}/api/payment/webhook", json=body) as response:
            created = Read("payments", "", f"/api/payment/{(await response.json())['data']['id']}")

        async def arrived() -> bool:
            return (await both.fetch(both.shadow, created))[0] == 200

        await eventually(arrived)
        # A second time there is nothing to be done, and nothing changes.
        assert (await heal(both, both.primary, "payments"))[1] == {**told, "bugs": [], "repaired": 0}


async def two_users(both: Pair) -> tuple[str, str]:
    async with both.session.get(f"{both.primary}/api/users?limit=2") as response:
        first, second = (await response.json())["data"]
    return first["id"], second["id"]


async def test_the_moments_of_a_gate_are_kept_when_other_conditions_hold(mongo_url: str, pg_database: str) -> None:
    now, said = 0.0, list[str]()
    answers: dict[str, Mapping[str, Any]] = {"blog": UNSEEN}

    async def domain(name: str) -> Mapping[str, Any]:
        return answers[name]

    async with pair(fresh(mongo_url, pg_database), ALL) as both:
        healing, refused = (
            Healing(
                [Heal("blog", 5.0)],
                (both.primary, both.shadow),
                word,
                session=both.session,
                domain=domain,
                clock=lambda: now,
                tell=said.append,
            )
            for word in (CONTROL, "another word")
        )
        await healing.tick()
        now = 5.1
        await healing.tick()
        assert healing.cases == []  # nobody has seen its bugs yet
        now, answers["blog"] = 5.2, CLOSED
        with pytest.raises(ProcessError, match=r"blog could not be healed: .* answered 404"):
            await refused.tick()
        await healing.tick()
        assert (await health(both, both.shadow))[0] == "2.8.79+fixed.blog"
        assert (await health(both, both.primary))[0] == "2.8.79"  # it had no part in it
        now, answers["blog"] = 6.2, {**CLOSED, "reasons": ["4 diffs"]}
        await healing.tick()
        now, answers["blog"] = 7.2, {**CLOSED, **OPEN}
        await healing.tick()
    (case,) = healing.cases
    assert case.moments == [Moment(5.2, "closed", ("diffs",), ("3 diffs",)), Moment(7.2, "open", (), ())]
    assert case.as_json()["reasons"][0] == {
        "at": 5.2,
        "gate": "closed",
        "conditions": ["diffs"],
        "reasons": ["3 diffs"],
    }
    assert said[-1] == "blog 7.2 s open (diffs holds now)"


def test_when_a_domain_is_healed() -> None:
    assert parse_heals([], 30) == ()
    assert parse_heals(["blog", "chat@4.5"], 30) == (Heal("chat", 4.5), Heal("blog", 10.0))
    assert parse_heals(["blog"], None) == (Heal("blog", 20.0),)
    assert parse_heals(["payments"], 30, direct=True) == (Heal("payments", 10.0),)


@pytest.mark.parametrize(
    ("text", "direct", "says"),
    [
        ("users", False, "nothing to heal but in blog, chat"),
        ("blog", True, "nothing to heal but in payments$"),
        ("blog@soon", False, "say blog@10"),
        ("blog@nan", False, "does not run at that time"),
        ("blog@30", False, "does not run at that time"),
        ("blog@-1", False, "does not run at that time"),
    ],
)
def test_what_cannot_be_healed_is_refused(text: str, direct: bool, says: str) -> None:
    with pytest.raises(ShadowreadError, match=says):
        parse_heals([text], 30, direct=direct)


def test_a_moment_on_one_line() -> None:
    before = Moment(1.0, "closed", ("diffs", "comparisons", "soak"), ())
    now = Moment(2.04, "closed", ("soak",), ())
    assert changed(before, now)
    assert not changed(before, Moment(3.0, "closed", ("diffs", "comparisons", "soak"), ("other figures",)))
    assert line_of(now, before) == "2.0 s closed: soak (diffs, comparisons hold now)"
    assert line_of(now, None) == "2.0 s closed: soak"
