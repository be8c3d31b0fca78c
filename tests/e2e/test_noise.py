"""An A/A run: the primary is asked twice, what differs is noise, and nothing of it reaches the real ledger."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import simplejson
from ruamel.yaml import YAML

from proxy.cli.noise import lines_of
from proxy.errors import ShadowreadError
from proxy.ledger import LedgerReader
from proxy.model import Verdict
from proxy.noise import Report, aa_settings, begin_anew, report_of
from proxy.settings import Settings, show
from tests.e2e.backends import Script, answering, backend, fetch, response, target_of
from tests.e2e.conftest import PAIRS, running, settings

DOMAINS = {
    "things": {"routes": ["GET /api/things/{id}"], "compare": {"ids": {"mode": "mapped"}}},
    "quiet": {"routes": ["GET /api/quiet"]},
    "unused": {"routes": ["GET /api/unused"]},
}
REQUESTS = 8


def noisy() -> Script:
    """A backend whose answers bear a number of the request, and rows with an id of their own."""
    numbers = itertools.count()

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        if target_of(head) == b"/api/quiet":
            writer.write(response(b'{"ok": true}'))
        else:
            body = {"requestId": f"\x1b[31m{next(numbers)}", "data": {"id": PAIRS[0]["legacy"]}}
            writer.write(response(json.dumps(body).encode()))

    return script


async def run(prepared: Settings, requests: int) -> None:
    async with running(prepared) as proxy:
        for _ in range(requests):
            await fetch(proxy.url, b"/api/things/1")
            await fetch(proxy.url, b"/api/quiet")
        await proxy.until(lambda counts: counts.observed == requests and not counts.under_way)


async def report(prepared: Settings) -> Report:
    reader = await LedgerReader.open(prepared.ledger.url)
    try:
        return await report_of(prepared, reader, datetime.now(UTC).date())
    finally:
        await reader.close()


async def test_noise_is_told_with_a_rule_that_silences_it(folder: Path) -> None:
    dead = "http://127.0.0.1:9"
    async with backend(noisy()) as primary:
        real = settings(folder, primary, dead, domains=DOMAINS, settle={"attempts": 3, "delay": 0.02})
        prepared = aa_settings(real)
        begin_anew(prepared)
        await run(prepared, REQUESTS)
        told = await report(prepared)
        things, quiet, unused = told.domains
        ((noise,),) = [route.noise for route in things.routes]
        assert (things.comparisons, quiet.comparisons, quiet.noisy) == (REQUESTS, REQUESTS, False)
        assert (noise.seen.path, noise.seen.exchanges, noise.seen.share) == ("$.requestId", REQUESTS, 1.0)
        shown = "\n".join(lines_of(told))
        assert f"quiet: no noise in {REQUESTS} comparisons" in shown
        assert "unused: nothing was compared, so nothing is known" in shown
        assert "\x1b" not in shown
        assert unused.observed == 0
        assert json.loads(json.dumps(told.as_json()))["domains"][0]["noisy"]

        pasted = YAML(typ="safe").load(told.yaml)["domains"]["things"]["routes"][0]
        domains = {**DOMAINS, "things": {"routes": [pasted]}}
        again = aa_settings(settings(folder, primary, dead, domains=domains))
        begin_anew(again)
        await run(again, 2)
        silent = await report(again)
        assert (silent.domains[0].comparisons, silent.domains[0].noisy, silent.yaml) == (2, False, "")
    assert not Path(real.ledger.url.removeprefix("sqlite:///")).exists()


async def test_a_gate_cannot_open_on_it_and_ids_are_plain_text(folder: Path) -> None:
    async with backend(answering(response(b'{"id": "1"}'))) as primary:
        prepared = aa_settings(settings(folder, primary, None, domains=DOMAINS))
        async with running(prepared) as proxy:
            await fetch(proxy.url, b"/api/things/1")
            counts = await proxy.until(lambda c: c.observed == 1)
            assert counts.verdicts == {Verdict.MATCH: 1}
    for name in DOMAINS:
        assert prepared.compare_layers(name, prepared.domains[name].routes[0].route)[0]["ids"] == "exact"
        assert "ids" not in prepared.domains[name].compare
        assert prepared.domains[name].blockers == [
            "this is an A/A run: both sides are the primary, so its zeros say " + "nothing about the shadow"
        ]


@pytest.mark.slow
async def test_the_command_prints_the_report_when_it_is_stopped(folder: Path) -> None:
    async with backend(noisy()) as primary, backend(noisy()) as shadow:
        path = folder / "shadowread.yaml"
        path.write_text(simplejson.dumps(show(settings(folder, primary, shadow, domains=DOMAINS))))
        async with command("serve", "-c", str(path), "--aa", "--json") as process:
            assert process.stderr is not None
            async for line in process.stderr:
                if b"serving http://" in line:
                    break
            url = "http://" + line.decode().split("serving http://")[1].split(",")[0]
            for _ in range(REQUESTS):
                await fetch(url)
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert told["domains"][0]["routes"][0]["noise"][0]["path"] == "$.requestId"
    assert "ignore:" in told["rules"]
    async with command("serve", "-c", str(path), "--json") as process:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (2, b"")
    assert b"--aa" in err


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", *arguments, stdout=pipe, stderr=pipe
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_two_runs_at_once_are_refused_and_nothing_is_removed(folder: Path) -> None:
    async with backend(answering(response(b"{}"))) as primary:
        prepared = aa_settings(settings(folder, primary, None, domains=DOMAINS))
        async with running(prepared) as proxy:
            with pytest.raises(ShadowreadError, match=r"another A/A run writes to .*shadowread\.aa\.db"):
                begin_anew(prepared)
            await fetch(proxy.url, b"/api/things/1")
            await proxy.until(lambda counts: counts.observed == 1)
        begin_anew(prepared)
        assert not Path(prepared.ledger.url.removeprefix("sqlite:///")).exists()


def test_without_a_primary_there_is_nothing_to_read_twice(folder: Path) -> None:
    with pytest.raises(ShadowreadError, match=r"set primary\.url"):
        aa_settings(settings(folder, "", "http://127.0.0.1:9"))
