"""Filters, sorting and paging of the tables, and the picture that they share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.admin import content
from proxy.admin import site as admin_site
from proxy.admin import snapshot as snapshot_module
from proxy.admin.evidence import Evidence
from proxy.admin.snapshot import Snapshot
from proxy.errors import LedgerError
from proxy.ledger import schema
from tests.admin.conftest import Site
from tests.admin.recorded import AT, DAY


async def ask(site: Site, path: str) -> dict[str, Any]:
    answer = await site.get(path)
    assert answer.status == 200, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def paths(site: Site, query: str) -> list[str]:
    return [one["path"] for one in (await ask(site, f"/api/v1/findings?{query}"))["findings"]]


async def test_findings_are_picked_and_sorted(site: Site) -> None:
    both = ["$.amount", "$.items"]
    assert await paths(site, "sort=path") == both
    assert await paths(site, "sort=-path") == both[::-1]
    assert await paths(site, "sort=-kind") == ["$.items", "$.amount"]
    assert await paths(site, "kind=number_string") == ["$.amount"]
    assert await paths(site, "q=ITEMS") == ["$.items"]
    assert await paths(site, "route=payments&sort=path&state=open&domain=") == both
    assert await paths(site, "route=users") == []
    assert await paths(site, "state=gone") == []
    cut = await ask(site, "/api/v1/findings?limit=1&sort=path")
    assert (len(cut["findings"]), cut["total"]) == (1, 2)
    form = {"owner": "Mara", "why": "repaired by SHOP-7", "until": "2026-12-31"}
    (first, _) = (await ask(site, "/api/v1/findings?sort=path"))["findings"]
    await site.post(f"/api/v1/findings/{first['id']}/accept", json=form)
    assert await paths(site, "q=shop-7") == ["$.amount"]
    assert await paths(site, "state=accepted") == ["$.amount"]


async def test_traces_are_picked_across_pages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SCAN", 1)

    async def ids(query: str) -> tuple[list[str], str | None]:
        found = await ask(site, f"/api/v1/traces?{query}")
        return [one["id"] for one in found["traces"]], found["next"]

    assert await ids("q=page%3D1") == (["trace0001"], None)
    assert await ids("verdict=match") == ([], None)
    assert await ids("route=PAYMENTS&verdict=diff") == (["trace0002", "trace0001", "trace0000"], None)
    first, following = await ids("verdict=diff&limit=2")
    assert first == ["trace0002", "trace0001"]
    assert following is not None
    assert await ids(f"verdict=diff&limit=2&before={following}") == (["trace0000"], None)
    monkeypatch.setattr(content, "SCANS", 2)
    some, following = await ids("q=page%3D0")
    assert (some, following is None) == ([], False), "it has not looked at all of them"
    assert await ids(f"q=page%3D0&before={following}") == (["trace0000"], None)


async def test_decisions_page_by_page(site: Site) -> None:
    for domain in ("users", "payments", "users", "users"):
        await site.get(f"/api/v1/gates/{domain}")
    whole = await ask(site, "/api/v1/decisions")
    assert [one["seq"] for one in whole["decisions"]] == [4, 3, 2, 1]
    for newer, older in zip(whole["decisions"], whole["decisions"][1:], strict=False):
        assert newer["prev"] == older["hash"]
    assert whole["head"] == {"hash": whole["decisions"][0]["hash"], "entries": 4}
    assert whole["next"] is None
    first = await ask(site, "/api/v1/decisions?domain=users&limit=2")
    assert [one["seq"] for one in first["decisions"]] == [4, 3]
    rest = await ask(site, f"/api/v1/decisions?domain=users&limit=2&before={first['next']}")
    assert ([one["seq"] for one in rest["decisions"]], rest["next"]) == ([1], None)
    closed = await ask(site, "/api/v1/decisions?state=closed")
    assert [one["domain"] for one in closed["decisions"]] == ["payments"]
    assert closed["decisions"][0]["reasons"]
    one = await ask(site, "/api/v1/decisions/2")
    assert (one["result"]["domain"], one["prev"]) == ("payments", whole["decisions"][3]["hash"])


async def test_a_damaged_decision_is_told_and_hides_no_other(site: Site) -> None:
    for _ in range(2):
        await site.get("/api/v1/gates/users")
    table = schema.decisions
    await site.ledger.write(
        lambda connection: connection.execute(table.update().where(table.c.seq == 1).values(body=b"no such thing"))
    )
    newest, oldest = (await ask(site, "/api/v1/decisions"))["decisions"]
    assert (newest["damage"], newest["reasons"]) == ("", [])
    assert "damaged" in oldest["damage"]
    assert oldest["reasons"] is None


async def test_those_who_look_at_once_share_one_picture(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = 0.0, 0
    evidence = Evidence(site.settings, site.ledger, now=lambda: AT)
    snapshot = Snapshot(evidence, clock=lambda: clock)
    overview = evidence.overview

    async def counted() -> Any:
        nonlocal looks
        looks += 1
        return await overview()

    monkeypatch.setattr(evidence, "overview", counted)
    found = await asyncio.gather(*(snapshot.overview() for _ in range(20)))
    assert looks == 1
    assert all(one is found[0] for one in found)
    assert found[0].domains == await ask(site, "/api/v1/domains")
    assert found[0].findings == {("payments", "open"): 2}
    clock = 1.0
    await snapshot.overview()
    assert looks == 1
    clock = 1.1
    assert (await snapshot.overview()).version == found[0].version, "nothing has changed"
    assert looks == 2
    snapshot.forget()
    await snapshot.overview()
    assert looks == 3

    async def unreadable() -> Any:
        nonlocal looks
        looks += 1
        raise LedgerError("the file is gone")

    monkeypatch.setattr(evidence, "overview", unreadable)
    clock = 9.0
    failed = await asyncio.gather(*(snapshot.overview() for _ in range(5)), return_exceptions=True)
    assert {str(one) for one in failed} == {"the file is gone"}
    assert looks == 4


async def test_a_picture_that_is_broken_off_leaves_no_old_one_for_new(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, now = 0.0, AT
    evidence = Evidence(site.settings, site.ledger, now=lambda: now)
    snapshot = Snapshot(evidence, clock=lambda: clock)
    await snapshot.overview()
    overview, now = evidence.overview, AT + DAY

    async def breaks() -> Any:
        raise RuntimeError("a fault")

    async def hangs() -> Any:
        await asyncio.Event().wait()

    clock = 10.0
    monkeypatch.setattr(evidence, "overview", breaks)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await snapshot.overview()
    monkeypatch.setattr(evidence, "overview", hangs)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(snapshot.overview(), 0.01)
    monkeypatch.setattr(evidence, "overview", overview)
    clock = 10.5
    assert (await snapshot.overview()).at == AT + DAY, "looked at anew, although one was begun within the second"


async def test_domains_are_told_while_findings_cannot_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreadable(_question: object) -> Any:
        raise LedgerError("the disk is gone")

    monkeypatch.setattr(site.ledger, "ask", unreadable)
    for one in (await ask(site, "/api/v1/domains"))["domains"]:
        assert one["gate"] == "closed", "nothing is open on evidence that nobody can read"
        assert any("the disk is gone" in reason for reason in one["reasons"])
    page = await site.get("/", Accept="text/html")
    assert (page.status, "the disk is gone" in await page.text()) == (200, True)
    metrics = await (await site.get("/metrics")).text()
    assert 'shadowread_gate_open{domain="users"} 0.0' in metrics
    assert "shadowread_findings{" not in metrics, "how many there are is not known, least of all as none"
    for path in ("/findings/x", "/decisions", "/domains/users"):
        answer = await site.get(path, Accept="text/html")
        assert (answer.status, "the disk is gone" in await answer.text()) in ((503, True), (404, False)), path


async def test_metrics_do_not_wait_for_a_ledger_that_hangs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_self: Evidence) -> Any:
        await asyncio.Event().wait()

    open_, closed = (f'shadowread_gate_open{{domain="users"}} {figure}' for figure in ("1.0", "0.0"))
    assert open_ in await (await site.get("/metrics")).text()
    monkeypatch.setattr(snapshot_module, "FRESH", 0.0)
    monkeypatch.setattr(admin_site, "SCRAPE_SECONDS", 0.05)
    monkeypatch.setattr(Evidence, "overview", hangs)
    assert closed in await (await site.get("/metrics")).text(), "an open gate that nobody can know of any more"
