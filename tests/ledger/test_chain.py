"""The chain of decisions: what is stored, and that no edit, removal or move of it goes unseen."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import LedgerError
from proxy.gate.result import Condition, GateResult
from proxy.ledger import LedgerReader, chain, schema
from proxy.ledger.chain import GENESIS, Entry, Report
from tests.ledger.support import START, Home, Place, make, opened, reading, remove, rows_of


@dataclass
class Log:
    """A ledger with decisions, the doors to look at it and to tamper with it."""

    path: Place
    reader: LedgerReader

    async def add(self, n: int, *, domain: str = "users", state: str = "closed") -> list[Entry]:
        return [await self.append(domain, state, {"domain": domain, "no": no, "text": "é" * 50}) for no in range(n)]

    async def append(self, domain: str, state: str, result: dict[str, Any]) -> Entry:
        return await self.reader.write(lambda c: chain.append(c, domain=domain, at=START, state=state, result=result))

    async def verify(self, head: str | None = None) -> Report:
        return await self.reader.ask(lambda c: chain.verify(c, head))

    async def faults(self, head: str | None = None) -> list[tuple[int | None, str]]:
        report = await self.verify(head)
        assert report.found == len(report.faults)
        assert report.whole is (not report.faults)
        return [(fault.seq, fault.text) for fault in report.faults]

    def tamper(self, *statements: str) -> None:
        rows_of(self.path, *statements)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "empty.db"
    asyncio.run(make(path))
    return path


@pytest.fixture
async def log(tmp_path: Path, empty: Path) -> AsyncIterator[Log]:
    shutil.copy(empty, tmp_path / "a.db")
    async with reading(tmp_path / "a.db") as reader:
        yield Log(tmp_path / "a.db", reader)


@pytest.fixture
async def any_log(home: Home, empty: Path) -> AsyncIterator[Log]:
    """In a file, and in Postgres."""
    path = home / "a.db"
    if isinstance(path, Path):
        shutil.copy(empty, path)
    async with reading(path) as reader:
        yield Log(path, reader)


async def test_an_empty_chain_and_a_whole_one(any_log: Log) -> None:
    assert await any_log.verify() == Report(0, (), GENESIS, 0)
    entries = await any_log.add(3) + await any_log.add(2, domain="payments", state="open")
    assert [one.seq for one in entries] == [1, 2, 3, 4, 5]
    assert await any_log.verify() == Report(5, (), entries[-1].hash, 0)
    for one in entries:
        assert (await any_log.verify(f" {one.hash.upper()}\n")).whole, "an earlier head is still a part of it"
    newest = (await any_log.reader.decisions("payments"))[0]
    assert (newest.seq, newest.hash, newest.at, newest.state) == (5, entries[-1].hash, START, "open")
    assert newest.result == {"domain": "payments", "no": 1, "text": "é" * 50}
    assert [one.seq for one in await any_log.reader.decisions(limit=2)] == [5, 4]


async def test_a_decision_of_the_gate_is_stored_beside_a_running_proxy_with_all_it_bears(home: Home) -> None:
    opening = GateResult(
        domain="users",
        state="open",
        conditions=(Condition("diffs", ok=True, figure=0, limit=0, text="no diff"),),
        reasons=(),
        diff_rate=0.0,
        upper_bound=0.0003,
        decided_at=START,
        flags_to_change=("REPO_USER=pg",),
        rollback_plan="plan.md",
        rollback_digest="d" * 64,
        inputs={"limits": {"max_diffs": 0}, "evidence": {"observed": 10_000}},
    )
    path = home / "a.db"
    async with opened(path) as ledger, reading(path) as reader:
        stored = [await beside.store_decision(opening) for beside in (reader, ledger)]
        found = await ledger.decisions("users")
        assert [Entry(one.seq, one.hash) for one in reversed(found)] == stored
        assert (found[0].result, found[0].at, found[0].state) == (opening.as_json(), START, "open")
        assert (await Log(path, reader).verify(stored[0].hash)).whole
        remove(path)
        with pytest.raises(LedgerError, match=r"the decision was not stored: .* does not exist"):
            await reader.store_decision(opening)


async def test_a_hash_can_be_made_again_by_anybody_from_what_is_written_down(log: Log) -> None:
    import hashlib  # as a stranger would

    (entry,) = await log.add(1)
    body = json.dumps({"domain": "users", "no": 0, "text": "é" * 50}, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    at = int(START.timestamp() * 1_000_000)
    stated = f'{{"at":{at},"digest":"{digest}","domain":"users","seq":1,"state":"closed"}}'
    assert entry.hash == hashlib.sha256(("0" * 64 + stated).encode()).hexdigest()


TAMPERED = [
    ("UPDATE decisions SET state = 'open' WHERE seq = 3", [(3, "entry 3 was changed")]),
    ("UPDATE decisions SET domain = 'other' WHERE seq = 1", [(1, "entry 1 was changed")]),
    ("UPDATE decisions SET at = at + 1 WHERE seq = 6", [(6, "entry 6 was changed")]),
    ("UPDATE decisions SET at = 'no time' WHERE seq = 2", [(2, "entry 2 was changed")]),
    ("UPDATE decisions SET domain = x'ff00' WHERE seq = 2", [(2, "entry 2 was changed")]),
    (
        "UPDATE decisions SET body = (SELECT body FROM decisions WHERE seq = 1) WHERE seq = 4",
        [(4, "the figures of entry 4 were changed")],
    ),
    ("UPDATE decisions SET body = substr(body, 1, 20) WHERE seq = 4", [(4, "the figures of entry 4 were changed")]),
    (
        "UPDATE decisions SET body = CAST(body || x'00' AS BLOB) WHERE seq = 4",
        [(4, "the figures of entry 4 were changed")],
    ),
    ("UPDATE decisions SET body = 'text' WHERE seq = 4", [(4, "the figures of entry 4 were changed")]),
    ("UPDATE decisions SET body = NULL WHERE seq = 4", [(4, "the figures of entry 4 were removed")]),
    ("UPDATE decisions SET body = NULL WHERE seq = 5", [(5, "the figures of entry 5 were removed")]),
    (
        "UPDATE decisions SET body = (SELECT body FROM decisions WHERE seq = 1), digest = 'd' WHERE seq = 4",
        [(4, "entry 4 was changed"), (4, "the figures of entry 4 were changed")],
    ),
    ("UPDATE decisions SET hash = replace(hex(zeroblob(32)), '0', 'a') WHERE seq = 2", [(2, "entry 2 was changed")]),
    ("UPDATE decisions SET hash = replace(hex(zeroblob(32)), '0', 'a') WHERE seq = 6", [(6, "entry 6 was changed")]),
    (
        "UPDATE decisions SET prev = replace(hex(zeroblob(32)), '0', 'a') WHERE seq = 2",
        [(2, "entry 2 does not follow entry 1"), (2, "entry 2 was changed")],
    ),
    ("DELETE FROM decisions WHERE seq = 1", [(1, "entry 1 is missing before entry 2")]),
    ("DELETE FROM decisions WHERE seq IN (3, 4)", [(3, "entries 3 to 4 are missing before entry 5")]),
    ("DELETE FROM decisions WHERE seq = 6", [(6, "entry 6 is missing at the end")]),
    ("DELETE FROM decisions WHERE seq > 4", [(5, "entries 5 to 6 are missing at the end")]),
    ("DELETE FROM decisions", [(1, "entries 1 to 6 are missing at the end")]),
    ("UPDATE meta SET value = '5' WHERE name = 'decisions_count'", [(None, "counts 5 decisions, the last entry is")]),
    ("UPDATE meta SET value = 'x' WHERE name = 'decisions_count'", [(None, "counts 0 decisions, the last entry is")]),
    (
        "UPDATE meta SET value = replace(hex(zeroblob(32)), '0', 'a') WHERE name = 'decisions_head'",
        [(6, "not the one that the ledger knows")],
    ),
    ("DELETE FROM meta WHERE name = 'decisions_head'", [(6, "not the one that the ledger knows")]),
    (
        "UPDATE decisions SET seq = 0 WHERE seq = 1",
        [(0, "entry 0 stands before"), (0, "entry 0 was changed"), (1, "entry 1 is missing")],
    ),
]


@pytest.mark.parametrize(("statement", "expected"), TAMPERED, ids=[str(n) for n in range(len(TAMPERED))])
async def test_what_is_tampered_with_is_found_where_it_is(
    log: Log, statement: str, expected: list[tuple[int | None, str]]
) -> None:
    await log.add(4)
    await log.add(1, state="open")
    await log.add(1, domain="payments")
    log.tamper(statement)
    found = await log.faults()
    assert [seq for seq, _ in found] == [seq for seq, _ in expected], found
    for (_, text), (_, says) in zip(found, expected, strict=True):
        assert says in text


async def test_two_edits_are_both_found(any_log: Log) -> None:
    await any_log.add(9)
    any_log.tamper(
        "UPDATE decisions SET state = 'open' WHERE seq = 3",
        "UPDATE decisions SET body = (SELECT body FROM decisions WHERE seq = 1) WHERE seq = 7",
    )
    assert [seq for seq, _ in await any_log.faults()] == [3, 7]


async def test_entries_that_changed_places(log: Log) -> None:
    await log.add(5)
    log.tamper(
        "UPDATE decisions SET seq = -2 WHERE seq = 2",
        "UPDATE decisions SET seq = 2 WHERE seq = 3",
        "UPDATE decisions SET seq = 3 WHERE seq = -2",
    )
    found = await log.faults()
    assert {seq for seq, _ in found} == {2, 3, 4}
    assert any("entry 2 does not follow entry 1: one of them was replaced, added or moved" in text for _, text in found)


async def test_one_that_was_made_anew_with_its_hash_no_longer_fits_the_next(log: Log) -> None:
    entries = await log.add(5)
    assert isinstance(log.path, Path)
    with sqlite3.connect(log.path) as connection:
        prev, domain, at, digest = connection.execute(
            "SELECT prev, domain, at, digest FROM decisions WHERE seq = 3"
        ).fetchone()
        hashed = chain.hash_of(prev, 3, domain, at, "open", digest)
        connection.execute("UPDATE decisions SET state = 'open', hash = ? WHERE seq = 3", (hashed,))
    connection.close()
    assert [seq for seq, _ in await log.faults()] == [4]
    assert len(await log.faults(entries[2].hash)) == 2


async def test_a_chain_made_anew_is_only_found_by_who_noted_a_head(log: Log) -> None:
    noted = (await log.add(5))[3].hash
    log.tamper("DELETE FROM decisions WHERE seq > 2", "DELETE FROM meta WHERE name LIKE 'decisions%'")
    log.tamper(
        "INSERT INTO meta SELECT 'decisions_head', hash FROM decisions WHERE seq = 2",
        "INSERT INTO meta VALUES ('decisions_count', '2')",
    )
    await log.add(3, state="open")
    assert (await log.verify()).whole
    ((seq, text),) = await log.faults(noted)
    assert seq is None
    assert f"no entry has the noted hash {noted}" in text
    for wrong in ("", "abc", noted[:-1], noted[:-1] + "g"):
        with pytest.raises(LedgerError, match="is no hash of a decision: it has 64 hex digits"):
            await log.verify(wrong)


async def test_after_a_removal_the_chain_goes_on_and_the_gap_stays(any_log: Log) -> None:
    await any_log.add(4)
    any_log.tamper("DELETE FROM decisions WHERE seq > 2")
    (entry,) = await any_log.add(1)
    assert entry.seq == 5
    assert await any_log.faults() == [(3, "entries 3 to 4 are missing before entry 5")]


async def test_faults_past_those_told_are_counted(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MOST_FAULTS", 3)
    monkeypatch.setattr(chain, "PAGE", 2)
    await log.add(7)
    log.tamper("UPDATE decisions SET state = 'open'")
    report = await log.verify()
    assert (report.entries, report.found, [one.seq for one in report.faults]) == (7, 7, [1, 2, 3])


async def test_older_closed_decisions_keep_their_place_and_lose_their_figures(
    any_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "CLOSED_BODIES", 2)
    await any_log.add(1, state="open")
    await any_log.add(3)
    await any_log.add(1, state="unknown")
    await any_log.add(1, domain="other")
    found = {one.seq: one.result is not None for one in await any_log.reader.decisions()}
    assert found == {1: True, 2: False, 3: False, 4: True, 5: True, 6: True}
    assert (await any_log.verify()).whole
    any_log.tamper("UPDATE decisions SET body = NULL WHERE seq = 4")
    assert [seq for seq, _ in await any_log.faults()] == [4], "those that should still have them are missed"
    any_log.tamper("UPDATE decisions SET state = 'x' WHERE seq = 2")
    assert [seq for seq, _ in await any_log.faults()] == [2, 4], "without its figures an entry is as well guarded"


async def test_those_who_store_at_once_get_one_chain(any_log: Log) -> None:
    async with reading(any_log.path) as other, reading(any_log.path) as third:
        logs = [any_log, Log(any_log.path, other), Log(any_log.path, third)]
        stored = await asyncio.gather(*(one.add(8, domain=str(n)) for n, one in enumerate(logs)))
    assert sorted(entry.seq for entries in stored for entry in entries) == list(range(1, 25))
    assert (await any_log.verify()).whole


async def test_a_result_is_stored_by_the_reader_and_what_cannot_be_is_refused(
    any_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        await any_log.append("users", "open", {"rate": float("nan")})
    with monkeypatch.context() as small:
        small.setattr(chain, "BODY_BYTES", 50)
        with pytest.raises(LedgerError, match="at most 50 can be stored"):
            await any_log.add(1)
    assert (await any_log.verify()).entries == 0
    await any_log.add(1)
    with monkeypatch.context() as small:
        small.setattr(chain, "BODY_BYTES", 50)
        assert [seq for seq, _ in await any_log.faults()] == [1], "what unpacks to more than was ever stored"
    any_log.tamper("UPDATE decisions SET body = substr(body, 1, 20)")
    with pytest.raises(LedgerError, match=r"decision 1 is damaged .* see `shadowread gate --verify-log`"):
        await any_log.reader.decisions()


async def test_decisions_made_before_there_was_a_chain_are_taken_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with monkeypatch.context() as then:
        then.setattr(schema, "REVISIONS", ("0001", "0002", "0003"))
        await make(path)
    with sqlite3.connect(path) as old:
        for no in (3, 7, 12, 200, *range(300, 420)):
            old.execute(
                "INSERT INTO decisions VALUES (?, 'users', ?, 'open', ?)", (no, no, f'{{"no": {no}, "a": 1.5}}')
            )
    old.close()
    await make(path)
    async with reading(path) as reader:
        log = Log(path, reader)
        assert await log.faults() == []
        assert (await reader.decisions(limit=1000))[-1].result == {"no": 3, "a": 1.5}
        assert (await log.add(1))[0].seq == 125
        assert (await log.verify()).whole
