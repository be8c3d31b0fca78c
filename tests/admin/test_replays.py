"""The replay button of a whole proxy: with the credentials of then while they are remembered, never with stored."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from proxy.app import Application
from proxy.ledger import Finding, FindingState
from proxy.model import ReadRequest
from proxy.opening import chance
from proxy.replays import AT_ONCE, Replays
from proxy.settings import load_settings
from proxy.verify.remembered import BYTES, KEPT, SECONDS, Remembered
from tests.e2e.backends import fetch
from tests.sweep.support import Things, configured, legacy

SECRET = "Bearer 5up3r-s3cret-cr3dential"


class Slow(Things):
    """Answers once it is let."""

    held: asyncio.Event | None = None

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if self.held is not None:
            await self.held.wait()
        await super().__call__(head, writer)


class Running:
    """A proxy between two sides that differ in thing 1 and thing 2, and its admin site."""

    def __init__(self, application: Application, client: aiohttp.ClientSession, shadow: Slow, primary: Things) -> None:
        self.application = application
        self.client = client
        self.primary = primary
        self.shadow = shadow
        self.url = f"http://127.0.0.1:{application.admin.port}"

    async def see(self, number: int) -> None:
        """One client reads a thing."""
        host, port = self.application.edge.address
        target = f"/api/things/{legacy(number)}".encode()
        await fetch(f"http://{host}:{port}", target, f"Authorization: {SECRET}".encode())

    async def get(self, path: str) -> dict[str, Any]:
        async with self.client.get(self.url + path) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def replay(self, trace: str) -> dict[str, Any]:
        async with self.client.post(f"{self.url}/api/v1/traces/{trace}/replay", json={}) as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def traces(self, count: int) -> list[str]:
        """The ids of the traces, oldest first, once there are so many."""
        async with asyncio.timeout(20):
            while len(found := (await self.get("/api/v1/traces"))["traces"]) < count:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.02)
        return [one["id"] for one in reversed(found)]

    async def finding(self) -> Finding:
        (found,) = await self.application.ledger.findings("things")
        return found


@asynccontextmanager
async def proxy(folder: Path) -> AsyncIterator[Running]:
    primary, shadow = Things(9, by_uuid=False), Slow(9, by_uuid=True)
    for number in (1, 2):
        shadow.things[number]["name"] = f"wrong {number}"
    async with configured(folder, primary, shadow) as config, aiohttp.ClientSession() as client:
        application = Application(load_settings(config, {}))
        await application.start()
        try:
            yield Running(application, client, shadow, primary)
        finally:
            await application.stop()


async def test_the_button_reads_again_as_it_came_and_closes_what_is_gone(tmp_path: Path) -> None:
    async with proxy(tmp_path) as made:
        for number in (1, 2):
            await made.see(number)
            first, *_ = await made.traces(number)
        stored = await made.get(f"/api/v1/traces/{first}")
        assert SECRET.split()[1] not in str(stored)
        made.primary.heads.clear()
        told = await made.replay(first)
        assert (told["answer"], "as it came" in told["text"]) == ("differs", True)
        assert told["again"] is not None
        assert any(SECRET.encode() in head for head in made.primary.heads)
        made.shadow.things[1]["name"] = "thing 1"
        told = await made.replay(first)
        assert told["answer"] == "gone"
        assert "stays" in told["text"], "thing 2 still differs, and is of the same finding"
        assert (await made.finding()).state is FindingState.OPEN
        made.shadow.things[2]["name"] = "thing 2"
        page = await (await made.client.get(f"{made.url}/traces/{first}", headers={"Accept": "text/html"})).text()
        found = re.search(r'name="csrf" value="(\w+)"', page)
        assert found
        form = {"csrf": found[1]}
        async with made.client.post(f"{made.url}/traces/{first}/replay", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, f"/traces/{first}")
            notice = answer.headers["Set-Cookie"].partition(";")[0]
        async with made.client.get(f"{made.url}/traces/{first}", headers={"Cookie": notice}) as answer:
            page = await answer.text()
        assert "Gone: both sides are equal" in page
        assert "1 finding is closed" in page
        assert (await made.finding()).state is FindingState.GONE


async def test_what_is_no_longer_remembered_is_not_made_up(tmp_path: Path) -> None:
    async with proxy(tmp_path) as made:
        await made.see(1)
        (trace,) = await made.traces(1)
        assert made.application.verifier is not None
        made.application.verifier.remembered = Remembered(lambda: 0.0)
        made.primary.heads.clear()
        told = await made.replay(trace)
        assert told["answer"] == "unknown"
        assert "Authorization is redacted" in told["text"]
        assert "; read from" not in told["text"], "it was not read at all"
        assert made.primary.heads == [], "nothing was sent with a tag in the place of a credential"
        async with made.client.post(f"{made.url}/api/v1/traces/none/replay", json={}) as answer:
            assert answer.status == 404


async def test_a_replay_that_takes_long_goes_on_and_others_wait(tmp_path: Path) -> None:
    async with proxy(tmp_path) as made:
        await made.see(1)
        (trace,) = await made.traces(1)
        verifier, ledger = made.application.verifier, made.application.ledger
        assert verifier is not None
        replays = Replays(verifier, ledger, chance(), seconds=0.01)
        made.shadow.held = asyncio.Event()
        answers = [await replays.trace(trace) for _ in range(AT_ONCE + 1)]
        assert "goes on" in answers[0].text
        assert "under way" in answers[-1].text
        assert {one.answer for one in answers} == {"unknown"}
        made.shadow.held.set()
        await made.traces(1 + AT_ONCE)
        await replays.stop()
        assert (await made.get("/api/v1/domains/things"))["verdicts"]["lost"] == 0


async def test_a_replay_that_is_broken_off_is_not_said_to_go_on(tmp_path: Path) -> None:
    async with proxy(tmp_path) as made:
        await made.see(1)
        (trace,) = await made.traces(1)
        verifier = made.application.verifier
        assert verifier is not None
        replays = Replays(verifier, made.application.ledger, chance())
        made.shadow.held = asyncio.Event()
        asked = asyncio.ensure_future(replays.trace(trace))
        async with asyncio.timeout(10):
            while not verifier.busy("things"):  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.01)
        await replays.stop()
        told = await asked
        made.shadow.held.set()
    assert (told.answer, "broke off" in told.text, "goes on" in told.text) == ("unknown", True, False)


async def test_what_ends_bears_the_id_of_its_trace_elsewhere_also_where_none_is_kept(tmp_path: Path) -> None:
    async with proxy(tmp_path) as made:
        host, port = made.application.edge.address
        for number in (1, 3):
            head = f"traceparent: 00-{number:032x}-{1:016x}-01".encode()
            await fetch(f"http://{host}:{port}", f"/api/things/{legacy(number)}".encode(), head)
        await made.traces(1)
        async with asyncio.timeout(10):
            while len(ended := (await made.get("/api/v1/live"))["ended"]) < 2:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.02)
    told = {one["verdict"]: (one["trace"] is None, int(one["trace_id"] or "0", 16)) for one in ended}
    assert told == {"diff": (False, 1), "match": (True, 3)}


def test_requests_are_remembered_for_a_while_and_not_for_good() -> None:
    now = 0.0
    kept = Remembered(lambda: now)
    request = ReadRequest("GET", "/a", ((b"Authorization", SECRET.encode()),))
    kept.add("0", request)
    assert kept.get("0") is request
    assert SECRET not in repr(kept)
    kept.add("large", ReadRequest("POST", "/a", (), b"x" * BYTES))
    assert kept.get("large") is None
    now = 1.0
    for number in range(1, KEPT + 1):
        kept.add(str(number), request)
    assert (len(kept), kept.get("0")) == (KEPT, None)
    now = SECONDS + 0.9
    assert kept.get("1") is request
    now = SECONDS + 1
    assert (kept.get("1"), len(kept)) == (None, 0)
