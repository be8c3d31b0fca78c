"""What others ask of the verifier: quiet, recent requests, single reads, reads on purpose; over real sockets."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from proxy.model import Side, Verdict
from proxy.opening import rules_fingerprint
from proxy.settings import Settings
from proxy.verify.recent import EVERY, KEPT, LARGEST, Recent
from proxy.verify.verifier import NotClaimedError
from proxy.verify.work import Job
from tests.e2e.backends import target_of
from tests.verify.support import LEGACY, TOKEN, UUID, Scripted, get, opened


async def test_a_read_on_purpose_counts_like_an_exchange(tmp_path: Path) -> None:
    primary, shadow = Scripted({"n": 1}), Scripted({"n": 1})
    async with opened(tmp_path, primary, shadow, sampling=0.0) as (made, verifier):
        asked = await verifier.ask(get(f"/api/things/{LEGACY}?x=%20"))
        assert (asked.domain, asked.route, asked.verdict) == ("things", "GET /api/things/{id}", Verdict.MATCH)
        assert asked.primary is not None
        assert asked.primary.body == b'{"n": 1}'
        for head in (*primary.heads, *shadow.heads):
            assert target_of(head) == f"/api/things/{LEGACY}?x=%20".encode()
            assert b"Authorization: Bearer t" in head
            assert b"X-Shadow-Read: 1" in head
        shadow.body = {"n": 2}
        asked = await verifier.ask(get(f"/api/things/{LEGACY}"))
        assert asked.verdict is Verdict.DIFF
        assert [one.path for one in asked.differences] == ["$.n"]
        assert asked.trace_id is not None
        assert await made.ledger.trace(asked.trace_id) is not None
        counts = (await made.ledger.domains())["things"]
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 1}
        with pytest.raises(NotClaimedError, match="/api/other"):
            await verifier.ask(get("/api/other"))


async def test_a_paused_domain_is_not_read_and_says_so(tmp_path: Path) -> None:
    primary, shadow = Scripted({}), Scripted({})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        verifier.pause("things")
        assert verifier.open("GET", f"/api/things/{LEGACY}", TOKEN) is None
        assert (await verifier.ask(get(f"/api/things/{LEGACY}"))).verdict is Verdict.PAUSED
        assert shadow.heads == []
        seen = await verifier.shadow_read("things", get(f"/api/things/{LEGACY}"))
        assert (seen.side, seen.status, len(shadow.heads)) == (Side.SHADOW, 200, 1)
        assert b"X-Shadow-Read: 1" in shadow.heads[0]
        verifier.resume("things")
        assert (await verifier.ask(get(f"/api/things/{LEGACY}"))).verdict is Verdict.MATCH
        counts = (await made.ledger.domains())["things"]
        assert counts.verdicts == {Verdict.PAUSED: 2, Verdict.MATCH: 1}, "a single shadow read is not counted"


async def test_a_single_read_of_what_nobody_claims_is_an_error_that_does_not_raise(tmp_path: Path) -> None:
    async with opened(tmp_path, Scripted({}), Scripted({})) as (_, verifier):
        assert (await verifier.shadow_read("things", get("/api/other"))).error == "unclaimed"
        assert (await verifier.shadow_read("users", get(f"/api/things/{LEGACY}"))).error == "unclaimed"


async def test_recent_requests_are_those_that_were_compared_with_their_credentials(tmp_path: Path) -> None:
    primary, shadow = Scripted({}), Scripted({})
    async with opened(tmp_path, primary, shadow) as (_, verifier):
        await verifier.ask(get("/api/things/1"))
        await verifier.ask(get("/api/things/2"))
        await verifier.ask(get("/api/things/1"))
        primary.status = b"500 Internal Server Error"
        await verifier.ask(get("/api/things/3"))
        primary.status = shadow.status = b"404 Not Found"
        assert (await verifier.ask(get("/api/things/4"))).verdict is Verdict.MATCH
        found = verifier.recent("things")
        assert [one.target for one in found] == ["/api/things/2", "/api/things/1"]
        assert (b"Authorization", b"Bearer t") in found[0].headers
        assert verifier.recent("others") == ()


def test_recent_requests_are_few_and_small() -> None:
    recent = Recent()
    for number in range(KEPT):
        recent.add("things", "GET /{id}", get(f"/{number}"))
    for _ in range(2 * EVERY):
        recent.add("things", "GET /{id}", get("/large", ((b"X", b"x" * LARGEST),)))
        recent.add("things", "GET /{id}", get("/large")._replace(body=b"x" * LARGEST))
    assert [one.target for one in recent.of("things")] == [f"/{number}" for number in range(KEPT)]
    for _ in range(2 * EVERY):
        recent.add("things", "GET /{id}", get("/new"))
    assert [one.target for one in recent.of("things")] == [*(f"/{number}" for number in range(1, KEPT)), "/new"]


def test_recent_requests_of_a_rare_route_are_not_pushed_out_by_those_of_a_busy_one() -> None:
    recent = Recent()
    recent.add("things", "GET /rare", get("/rare"))
    for number in range(KEPT + EVERY):
        recent.add("things", "GET /{id}", get(f"/{number}"))
    assert {one.target for one in recent.of("things")[-2:]} == {"/rare", f"/{KEPT + EVERY - 1}"}


async def test_matched_pairs_are_offered_with_their_window(tmp_path: Path) -> None:
    offered: list[tuple[str, str, str, Job]] = []

    class Examiner:
        def wants(self, *_: str) -> bool:
            return True

        def offer(self, *given: Any) -> None:
            offered.append(given)

    primary, shadow = Scripted({"id": LEGACY}), Scripted({"id": UUID})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        verifier.examiner = Examiner()
        await verifier.ask(get(f"/api/things/{LEGACY}"))
        shadow.body = {}
        await verifier.ask(get(f"/api/things/{LEGACY}"))
        window = made.ledger.window("things")
        assert window is not None
        ((domain, route, window_id, job),) = offered
        assert (domain, route, window_id) == ("things", "GET /api/things/{id}", window.id)
        assert job.primary.body == json.dumps({"id": LEGACY}).encode()
        assert job.ids.plain == {LEGACY: UUID}


async def test_distinct_entities_are_counted_by_kind_in_one_form(tmp_path: Path) -> None:
    primary, shadow = Scripted({}), Scripted({})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        for target in (f"things/{LEGACY}", f"things/{UUID}", f"things/{UUID.upper()}", "things/42", "x/named/y"):
            assert (await verifier.ask(get(f"/api/{target}"))).verdict is Verdict.MATCH
        primary.status = shadow.status = b"404 Not Found"
        assert (await verifier.ask(get(f"/api/things/{'b' * 24}"))).verdict is Verdict.MATCH
        await made.ledger.flush()
        counts = (await made.ledger.domains())["things"]
        assert counts.entity_counts == {"thing": 1, "": 2}, "what neither side has was not verified"


async def test_the_window_says_which_rules_it_belongs_to(tmp_path: Path) -> None:
    async with opened(tmp_path, Scripted({}), Scripted({})) as (made, _):
        first = made.ledger.window("things")
        assert first is not None
        assert set(first.parts) == {"rules"}
    async with opened(tmp_path, Scripted({}), Scripted({})) as (made, _):
        again = made.ledger.window("things")
        assert again is not None
        assert again.id == first.id, "the same rules go on in the same window"
    async with opened(tmp_path, Scripted({}), Scripted({}), compare={"ignore": ["$.n"]}) as (made, _):
        other = made.ledger.window("things")
        assert other is not None
        assert other.id != first.id
        assert "rules" in other.why


def test_the_fingerprint_covers_rules_readers_and_dates() -> None:
    base: dict[str, Any] = {
        "primary": {"url": "http://127.0.0.1:1"},
        "shadow": {"url": "http://127.0.0.1:2"},
        "postgres": {"dsn": "postgresql://127.0.0.1/x"},
        "ids": {"sources": [{"file": "ids.json"}]},
    }
    dated = {"tolerate": [{"kind": "case", "until": "2026-06-30"}]}

    def fingerprint(routes: list[Any], day: str = "2026-01-01", /, **more: Any) -> str:
        domain = {"routes": routes, **more.pop("domain", {})}
        return rules_fingerprint(
            Settings.model_validate({**base, **more, "domains": {"d": domain}}), "d", date.fromisoformat(day)
        )

    plain = fingerprint(["GET /a"])
    assert plain == fingerprint(["GET /a"], "2027-01-01")
    direct = {"route": "GET /a", "shadow": {"postgres": {"sql": "SELECT 1 AS a"}}}
    others = [
        fingerprint(["GET /a"], compare={"ignore": ["$.x"]}),
        fingerprint([{"route": "GET /a", "compare": {"ignore": ["$.x"]}}]),
        fingerprint([direct]),
        fingerprint([{**direct, "shadow": {"postgres": {"sql": "SELECT 2 AS a"}}}]),
        fingerprint(["GET /a", "GET /b"]),
        fingerprint(["GET /a"], shadow={**base["shadow"], "translate_ids": True}),
        fingerprint(["GET /a"], domain={"compare": dated}),
        fingerprint(["GET /a"], "2026-07-01", domain={"compare": dated}),
    ]
    assert len({plain, *others}) == len(others) + 1
    assert fingerprint(["GET /a"], domain={"blockers": ["x"], "sampling": 0.5}) == plain
