"""Server-sent events over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from comparators.model import Difference, Kind
from proxy.admin import events
from proxy.admin.session import COOKIE
from proxy.model import Ended, Outcome, Verdict
from proxy.tail import KEPT
from tests.admin.conftest import Site
from tests.admin.recorded import AT


@dataclass
class Event:
    name: str
    data: dict[str, Any]
    id: str


@dataclass
class Stream:
    """What one listener is told."""

    answer: aiohttp.ClientResponse
    passed: list[str] = field(default_factory=list)

    async def next(self, name: str) -> Event:
        """The next event of that name."""
        async with asyncio.timeout(10):
            while True:
                found: dict[str, str] = {}
                while line := (await self.answer.content.readline()).decode().rstrip("\n"):
                    key, _, value = line.partition(": ")
                    found[key] = value
                self.passed += [found["event"]] if "event" in found else []
                if found.get("event") == name:
                    return Event(name, json.loads(found["data"]), found["id"])

    async def ended(self) -> bool:
        async with asyncio.timeout(10):
            return (await self.answer.content.read())[-1:] in (b"", b"\n")


@asynccontextmanager
async def listening(site: Site, query: str = "", **fields: str) -> AsyncIterator[Stream]:
    answer = await site.get(f"/api/v1/events{query}", **fields)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    try:
        yield Stream(answer)
    finally:
        answer.close()


def end(site: Site, domain: str = "users", verdict: Verdict = Verdict.MATCH, *, times: int = 1) -> None:
    for _ in range(times):
        site.tail.add(Ended(AT, domain, f"GET /api/{domain}", verdict, None, 0, 0.1, 0.2))


async def test_what_ends_is_told_by_filters(open_site: Site) -> None:
    site = open_site
    end(site, times=3)
    async with listening(site, "?tail=1") as all_, listening(site, "?tail=1&domain=payments&verdict=diff") as some:
        await site.until(lambda: len(site.site.events) == 2)
        end(site)
        end(site, "payments")
        end(site, "payments", Verdict.DIFF)
        told = await all_.next("verdicts")
        assert [(one["domain"], one["verdict"]) for one in told.data["ended"]] == [
            ("users", "match"), ("payments", "match"), ("payments", "diff"),
        ]  # fmt: skip
        assert told.data["missed"] == 0, "what ended before is on the page already"
        picked = await some.next("verdicts")
        assert [one["route"] for one in picked.data["ended"]] == ["GET /api/payments"]
        live = await (await site.get("/api/v1/live?domain=payments&verdict=diff")).json()
        assert picked.data["ended"] == live["ended"]
    end(site, times=2)
    async with listening(site, "?tail=1", **{"Last-Event-ID": told.id}) as again:
        assert len((await again.next("verdicts")).data["ended"]) == 2, "goes on where the line broke"
    async with listening(site, f"?tail=1&since={live['next']}") as page:
        assert len((await page.next("verdicts")).data["ended"]) == 2, "goes on where the page ends"
    async with listening(site, "?tail=1&since=00000000-1", **{"Last-Event-ID": "00000000-1-x"}) as other:
        await site.until(lambda: len(site.site.events) == 1)
        end(site)
        assert len((await other.next("verdicts")).data["ended"]) == 1, "places of another process say nothing"


async def test_what_is_too_much_is_told_as_missed(open_site: Site) -> None:
    site = open_site
    place = (await (await site.get("/api/v1/live")).json())["next"]
    end(site, times=KEPT + 500)
    async with listening(site, f"?tail=1&since={place}") as stream:
        told = (await stream.next("verdicts")).data
    assert (len(told["ended"]), told["missed"]) == (events.BATCH, KEPT + 500 - events.BATCH)
    live = await (await site.get(f"/api/v1/live?since={place}")).json()
    assert (len(live["ended"]), live["missed"]) == (KEPT, 500)


async def test_what_changed_is_told_once_and_of_whom(open_site: Site) -> None:
    site = open_site
    async with listening(site) as stream:
        first = await stream.next("changed")
        assert first.data["domains"] == ["chat", "payments", "users"], "what the page shows may be old already"
        (finding, *_) = await site.ledger.findings("payments")
        form = {"owner": "mara", "why": "known", "until": "2026-12-31"}
        await site.post(f"/api/v1/findings/{finding.id}/accept", json=form, Authorization="")
        told = await stream.next("changed")
        assert told.data["domains"] == ["payments"]
        assert told.data["version"] != first.data["version"]
        ticket = site.ledger.begin("users", "GET /api/users")
        difference = Difference("$.name", Kind.VALUE_CHANGED, "a", "b")
        site.ledger.record(ticket, Outcome("users", "GET /api/users", Verdict.DIFF, AT, (difference,)))
        changed = await stream.next("changed")
        assert changed.data["domains"] == ["users"]
        await site.until(lambda: site.ledger.recording.waiting == 0)
        await site.post(f"/api/v1/findings/{finding.id}/revoke", json={}, Authorization="")
        while "payments" not in (last := await stream.next("changed")).data["domains"]:
            pass
    async with listening(site, "?tail=1", **{"Last-Event-ID": last.id}) as again:
        end(site)
        first = await again.next("verdicts")
        # By now the domains were looked at; had they changed, that would be told before the next verdict.
        end(site)
        second = await again.next("verdicts")
        assert again.passed == ["verdicts", "verdicts"]
        assert first.id != second.id


async def test_nothing_is_done_while_nobody_listens(open_site: Site) -> None:
    site = open_site
    seen = [site.site.events.producing]
    async with listening(site) as stream:
        await stream.next("changed")
        seen.append(site.site.events.producing)
    assert seen == [False, True]
    await site.until(lambda: len(site.site.events) == 0 and not site.site.events.producing)
    async with listening(site) as stream:
        await stream.next("changed")


async def test_listeners_are_bounded_and_let_go_at_stop(open_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site
    monkeypatch.setattr(events, "LISTENERS", 2)
    async with listening(site) as one, listening(site, "?tail=1") as other:
        refused = await site.get("/api/v1/events")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        await site.site.stop()
        assert await one.ended()
        assert await other.ended()
        assert len(site.site.events) == 0
        assert not site.site.events.producing


async def test_who_does_not_read_is_let_go(open_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site
    monkeypatch.setattr(events, "PENDING", 2)
    monkeypatch.setattr(events, "TICK", 0.01)
    monkeypatch.setattr(events, "WRITE_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.site.port, limit=1024)
    writer.write(b"GET /api/v1/events?tail=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await site.until(lambda: len(site.site.events) == 1)

    def gone() -> bool:
        end(site, times=300)
        return len(site.site.events) == 0

    async with listening(site, "?tail=1&domain=chat"):
        await site.until(lambda: len(site.site.events) == 2)

        def one_left() -> bool:
            end(site, times=300)
            return len(site.site.events) == 1

        await site.until(one_left)
    await site.until(gone)
    assert reader.at_eof() or await reader.read(1)
    writer.close()


async def test_a_session_that_ends_ends_its_events(site: Site) -> None:
    page = await (await site.get("/login", Authorization="")).text()
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "token": site.settings.admin.token.get_secret_value()}
    answer = await site.post("/login", data=form, Authorization="")
    cookie = f"{COOKIE}={answer.cookies[COOKIE].value}"
    async with listening(site, Authorization="", Cookie=cookie) as stream:
        await stream.next("changed")
        site.moment[0] = site.settings.admin.session
        assert await stream.ended()


async def test_silence_is_broken_for_those_between(open_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    async with listening(open_site) as stream:
        first = await stream.next("changed")
        async with asyncio.timeout(10):
            assert await stream.answer.content.readline() == b": still here\n"
    assert first.id.endswith(first.data["version"])


async def test_a_fault_of_the_producer_breaks_the_line_and_leaves_nobody_waiting(
    open_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(_events: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as broken:
        broken.setattr(events.Events, "_look", breaks)
        async with listening(open_site) as stream:
            assert await stream.ended()
    assert "a fault" in caplog.text
    async with listening(open_site) as stream:
        await stream.next("changed")


async def test_one_who_comes_as_the_producer_ends_is_told_all_the_same(
    open_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its last step and the loop's next turn the old producer is still held."""
    made = open_site.site.events
    request = make_mocked_request("GET", "/api/v1/events", transport=Mock(is_closing=lambda: False))
    began: list[asyncio.Future[web.StreamResponse]] = []
    told: list[set[str] | None] = []

    async def tell(_events: object, _request: object, listener: Any) -> web.StreamResponse:
        await listener.wake.wait()
        told.append(listener.changed)
        return web.Response()

    class Ending(set[Any]):
        def __bool__(self) -> bool:
            if not len(self) and not began:
                monkeypatch.setattr(events.Events, "_tell", tell)
                began.append(asyncio.ensure_future(made.handle(request, lambda: True)))
            return len(self) > 0

    async with listening(open_site) as stream:
        await stream.next("changed")
        made._listeners = Ending(made._listeners)
    await open_site.until(lambda: bool(told))
    assert told == [{"chat", "payments", "users"}]


async def test_a_stored_decision_is_told(open_site: Site) -> None:
    async with listening(open_site) as stream:
        await stream.next("changed")
        await open_site.get("/api/v1/gates/chat", Authorization="")
        assert (await stream.next("changed")).data["domains"] == ["chat"]
