"""Replay: stored diffs are read again, and what is gone is closed, what is not known is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger import FindingState, findings, reader
from proxy.model import Headers, Outcome, ReadRequest, Verdict
from proxy.opening import Opened, opening
from proxy.settings import load_settings
from proxy.sweep.replay import Replay, still_open
from proxy.verify.verifier import Verifier
from tests.sweep.support import ROUTE, Things, configured, legacy, run

TOKEN: Headers = ((b"Authorization", b"Bearer t"),)


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[tuple[Opened, Verifier]]:
    async with opening(load_settings(config, {}), examine=False) as made:
        assert made.verifier is not None
        yield made, made.verifier


async def asked(verifier: Verifier, n: int, headers: Headers = ()) -> str:
    """Read a thing that differs; its trace."""
    found = await verifier.ask(ReadRequest("GET", f"/api/things/{legacy(n)}", headers))
    assert found.verdict is Verdict.DIFF
    assert found.trace_id is not None
    return found.trace_id


def sides() -> tuple[Things, Things]:
    primary, shadow = Things(9, by_uuid=False), Things(9, by_uuid=True)
    for n in (1, 2, 3):
        shadow.things[n]["name"] = f"wrong {n}"
    return primary, shadow


async def test_a_finding_is_closed_once_none_of_its_exchanges_differs(tmp_path: Path) -> None:
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config, opened(config) as (made, verifier):
        for n in (1, 2, 3):
            await asked(verifier, n)
        (finding,) = await made.ledger.findings("things")
        shadow.things[1]["name"] = "thing 1"
        judged = await Replay(verifier, made.ledger, made.chance, ()).finding(finding)
        assert (judged.answer, judged.closed) == ("differs", False)
        assert judged.text == "2 of 3 stored exchanges still differ"
        (finding,) = await made.ledger.findings("things")
        assert finding.state is FindingState.OPEN
        assert finding.exchanges == 5, "the new readings count like any other"
        for n in (2, 3):
            shadow.things[n]["name"] = f"thing {n}"
        judged = await Replay(verifier, made.ledger, made.chance, ()).finding(finding)
        assert (judged.answer, judged.closed) == ("gone", True), judged
        (finding,) = await made.ledger.findings("things")
        assert finding.state is FindingState.GONE
        assert finding.gone_why is not None
        assert finding.gone_why.startswith("replayed: none of ")


async def test_a_finding_that_is_seen_while_it_is_replayed_is_not_closed(tmp_path: Path) -> None:
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config, opened(config) as (made, verifier):
        stored = await made.ledger.trace(await asked(verifier, 1))
        assert stored is not None
        (finding,) = await made.ledger.findings("things")
        shadow.things[1]["name"] = "thing 1"

        differences = stored.differences

        class Meanwhile:
            async def ask(self, request: ReadRequest) -> Any:
                found = await verifier.ask(request)
                ticket = made.ledger.begin("things", ROUTE)
                seen = Outcome("things", ROUTE, Verdict.DIFF, datetime.now(UTC), differences)
                made.ledger.record(ticket, seen)
                return found

        judged = await Replay(Meanwhile(), made.ledger, made.chance, ()).finding(finding)
        assert (judged.answer, judged.closed, judged.text) == ("differs", False, "it was seen again meanwhile")


async def test_without_the_credentials_of_then_nothing_is_told(tmp_path: Path) -> None:
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config, opened(config) as (made, verifier):
        await asked(verifier, 1, TOKEN)
        (finding,) = await made.ledger.findings("things")
        shadow.things[1]["name"] = "thing 1"
        primary.heads.clear()
        judged = await Replay(verifier, made.ledger, made.chance, ()).finding(finding)
        assert (judged.answer, judged.closed, primary.heads) == ("unknown", False, [])
        assert "Authorization is redacted" in judged.text
        judged = await Replay(verifier, made.ledger, made.chance, TOKEN).finding(finding)
        assert judged.closed
        assert b"Authorization: Bearer t\r\n" in primary.heads[0]
        assert b"redacted" not in primary.heads[0]


async def test_a_thing_that_is_not_there_any_more_proves_nothing(tmp_path: Path) -> None:
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config, opened(config) as (made, verifier):
        trace = await asked(verifier, 1)
        (finding,) = await made.ledger.findings("things")
        del primary.things[1], shadow.things[1]
        judged = await Replay(verifier, made.ledger, made.chance, ()).finding(finding)
        assert (judged.answer, judged.closed) == ("unknown", False)
        assert "status 404, then it was 200" in judged.text
        stored = await made.ledger.trace(trace)
        assert stored is not None
        assert (await Replay(verifier, made.ledger, made.chance, ()).trace(stored)).answer == "unknown"


async def test_findings_that_are_gone_do_not_hide_those_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAGE", 1)
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config, opened(config) as (made, verifier):
        for n in (1, 2):
            await asked(verifier, n)
        (frequent,) = await made.ledger.findings("things")
        await made.ledger.flush()
        await made.ledger.write(lambda c: findings.close(c, frequent.id, made.chance.now(), "by hand"))
        assert await still_open(made.ledger, "things") == ([], False)
        del shadow.things[5]
        await asked(verifier, 5)
        rare, more = await still_open(made.ledger, "things")
        assert [one.exchanges for one in rare] == [1]
        assert more, "there may be others"


@pytest.mark.slow
async def test_the_command(tmp_path: Path) -> None:
    primary, shadow = sides()
    async with configured(tmp_path, primary, shadow) as config:
        async with opened(config) as (made, verifier):
            trace = await asked(verifier, 1)
            (finding,) = await made.ledger.findings("things")
        code, told, text = await run("replay", "things", "-c", config, "--json")
        assert (code, told["findings"][0]["answer"]) == (1, "differs"), text
        shadow.things[1]["name"] = "thing 1"
        code, told, text = await run("replay", "--trace", trace, "-c", config, "--json")
        assert (code, told["traces"][0]["answer"], told["findings"]) == (0, "gone", []), text
        code, _, text = await run("replay", "--finding", finding.id, "-c", config)
        assert code == 0, text
        assert "gone, closed" in text
