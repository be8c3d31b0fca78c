"""Decisions that were edited afterwards are found, each where it stands."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import simplejson
from click.testing import CliRunner, Result

from proxy.cli import cli
from proxy.settings import Settings, show
from tests.e2e.backends import answering, backend, response
from tests.e2e.conftest import running, settings
from tests.e2e.evidence import EASY, plan, told

DECISIONS = 6


async def test_two_edits_in_the_log_of_decisions_are_found(folder: Path) -> None:
    domain = {"routes": ["GET /api/things/{id}"], "rollback_plan": plan(folder)}
    same = answering(response(b"{}"))
    async with backend(same) as primary, backend(same) as shadow:
        made = settings(folder, primary, shadow, domains={"things": domain}, gate=EASY)
        async with running(made) as proxy:
            for _ in range(DECISIONS):
                assert (await told(proxy, "/api/v1/gates/things"))["state"] == "closed"
    whole = await verified(folder, made)
    assert whole.exit_code == 0, whole.output
    report = json.loads(whole.stdout)
    assert (report["entries"], report["faults"]) == (DECISIONS, [])

    edit(made, ["UPDATE decisions SET state = 'open' WHERE seq = 2", "UPDATE decisions SET at = at + 1 WHERE seq = 5"])
    edited = await verified(folder, made, "--head", report["head"])
    assert edited.exit_code == 1
    assert {fault["seq"] for fault in json.loads(edited.stdout)["faults"]} == {2, 5}
    shown = await verified(folder, made, as_json=False)
    assert "entry 2 was changed" in shown.stdout
    assert "entry 5 was changed" in shown.stdout


def edit(made: Settings, statements: Sequence[str]) -> None:
    with closing(sqlite3.connect(made.ledger.url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount == 1


async def verified(folder: Path, made: Settings, *options: str, as_json: bool = True) -> Result:
    path = folder / "shadowread.yaml"
    path.write_text(simplejson.dumps(show(made)))
    more = ["--json"] if as_json else []
    # A loop of its own, since the command runs one.
    return await asyncio.to_thread(CliRunner().invoke, cli, ["gate", "-c", str(path), "--verify-log", *more, *options])
