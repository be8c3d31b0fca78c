"""Counts belong to a window of their domain: over restarts and crashes, with several processes, and when it is past."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from proxy.ledger import examined, schema, standing
from proxy.ledger import housing as housing_module
from proxy.ledger import journal as journal_module
from proxy.ledger import sqlite as sqlite_module
from proxy.ledger import windows as windows_module
from proxy.ledger.book import REPLACED_WHY
from proxy.ledger.tidy import tidy
from proxy.ledger.windows import ORPHANED_WHY
from proxy.model import Verdict
from proxy.window import FieldCount, Standing, Watch
from tests.ledger.support import (
    START,
    TOLERATED,
    Clock,
    Home,
    assert_balanced,
    crash,
    diff,
    difference,
    exchange,
    make,
    observed_by_route,
    opened,
    outcome,
    reading,
    remove,
    rows_of,
)

A, B = {"rules": "aa"}, {"rules": "bb"}


async def test_the_same_parts_continue_and_others_begin_with_nothing(home: Home) -> None:
    path, clock = home / "a.db", Clock()
    async with opened(path) as ledger:
        window = ledger.enter("users", A, START)
        exchange(ledger, entity="1", tolerated=(TOLERATED,))
        assert (await ledger.domains())["users"].window == window
        assert await ledger.windows("users") == [window]
    async with opened(path) as ledger:
        assert ledger.window("users") == window
        assert ledger.enter("users", A, clock.tick(hours=1)) == window
        exchange(ledger, Verdict.SHADOW_ERROR)
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.verdicts) == (2, {Verdict.MATCH: 1, Verdict.SHADOW_ERROR: 1})
    async with opened(path) as ledger:
        new = ledger.enter("users", B, clock.tick(hours=1))
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert counts.window == new
            assert (counts.observed, counts.verdicts, counts.routes, counts.tolerated) == (0, {}, {}, ())
            assert (counts.entities, counts.first_at, counts.last_comparison_at) == (0, None, None)
            assert counts.lifetime_observed == 2
            assert counts.lifetime_verdicts == {Verdict.MATCH: 1, Verdict.SHADOW_ERROR: 1}
            assert await ledger.windows("users") == [new, window]
            await ledger.flush()
        exchange(ledger)
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.lifetime_observed) == (1, 3)
        assert counts.last_comparison_at == START
    async with reading(path) as reader:
        assert (await reader.domains())["users"] == counts
        assert await reader.windows("users") == [new, window]
        assert await reader.windows("nobody") == []


async def test_an_exchange_belongs_to_the_window_that_it_was_begun_in(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        first = ledger.enter("users", A, START)
        ticket = ledger.begin("users", "GET /u")
        second = ledger.enter("users", B, START)
        assert (ticket.window, ledger.begin("users", "GET /u").window) == (first.id, second.id)
        ledger.record(ticket, outcome(Verdict.DIFF))
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert (counts.observed, counts.under_way, counts.lifetime_observed) == (0, 1, 1)
            await ledger.flush()
        assert rows_of(path, 'SELECT "window", n FROM verdicts') == [(first.id, 1)]


async def test_known_gaps_are_diffs_that_are_counted_apart(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        exchange(ledger, Verdict.DIFF, differences=(difference(),), known_gap=True)
        exchange(ledger, Verdict.DIFF, differences=(difference(),))
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert (counts.verdicts, counts.known_gaps) == ({Verdict.DIFF: 2}, 1)
            await ledger.flush()
            exchange(ledger, Verdict.MATCH)
            await ledger.flush()
            counts = (await ledger.domains())["users"]
            assert counts.known_gaps == 1
            ledger.restart("users", "by hand", START)
            assert (await ledger.domains())["users"].known_gaps == 0
            ledger.restart("users", "by hand", START)
            exchange(ledger, Verdict.DIFF, differences=(difference(),), known_gap=True)
            exchange(ledger, Verdict.DIFF, differences=(difference(),))


@pytest.mark.parametrize("written", [True, False])
async def test_what_a_crash_lost_is_lost_in_its_window(home: Home, written: bool) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        first = ledger.enter("users", A, START)
        ledger.begin("users", "GET /u")
        await ledger.flush()
        second = ledger.enter("users", B, START)
        if written:
            await ledger.flush()
        for _ in range(2):
            ledger.begin("users", "GET /u")
        await crash(ledger)
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.window is not None
        assert (counts.window.id, counts.verdicts) == (second.id, {Verdict.LOST: 2})
        assert counts.lifetime_verdicts == {Verdict.LOST: 3}
        assert counts.window.why == (second.why if written else ORPHANED_WHY)
        assert ledger.enter("users", B, START).id == second.id
    assert set(rows_of(path, 'SELECT "window", n FROM verdicts')) == {(first.id, 1), (second.id, 2)}
    assert observed_by_route(path) == {"GET /u": 3}


async def test_a_running_proxy_takes_over_what_was_begun_by_hand_beside_it(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as ledger, reading(path) as reader:
        first = ledger.enter("users", A, START)
        exchange(ledger)
        ticket = ledger.begin("users", "GET /u")
        await ledger.flush()
        second = await reader.restart_window("users", "a new release", START + timedelta(hours=1))
        assert (second.parts, second.why) == (A, "a new release")
        assert (await reader.domains())["users"].observed == 0
        await ledger.flush()
        assert ledger.window("users") == second
        assert ledger.enter("users", A, START) == second
        ledger.record(ticket, outcome())
        exchange(ledger, Verdict.NO_ROOM)
        await ledger.flush()
        assert await reader.windows("users") == await ledger.windows("users") == [second, first]
        counts = (await reader.domains())["users"]
        assert (counts.window, counts.verdicts) == (second, {Verdict.NO_ROOM: 1})
        assert (counts.lifetime_observed, (await ledger.domains())["users"]) == (3, counts)


async def test_two_that_begin_the_same_at_the_same_time_share_one_window(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as serve:
        serve.enter("users", A, START)
        await serve.flush()
        async with opened(path) as sweep:
            shared = serve.enter("users", B, START)
            ticket = sweep.begin("users", "GET /u")
            assert ticket.window != sweep.enter("users", {**B, "primary": "2"}, START).id != shared.id
            exchange(sweep, entity="1", tolerated=(TOLERATED,))
            sweep.begin("users", "GET /u")
            exchange(serve)
            await serve.flush()
            await sweep.flush()
            for ledger in (serve, sweep):
                await ledger.flush()
                found = ledger.window("users")
                assert found is not None
                assert (found.id, found.parts) == (shared.id, {**B, "primary": "2"})
                counts = (await ledger.domains())["users"]
                assert (counts.observed, counts.under_way, counts.entities) == (2, 1, 1)
                assert [one.count for one in counts.tolerated] == [3]
            sweep.begin("users", "GET /new")
            await crash(sweep)
        async with opened(path):
            counts = (await serve.domains())["users"]
            assert counts.verdicts == {Verdict.MATCH: 2, Verdict.LOST: 2}
            # The ticket begun under the old rules is lost in their window.
            assert counts.lifetime_verdicts == {Verdict.MATCH: 2, Verdict.LOST: 3}
    assert rows_of(path, "SELECT * FROM joined") == []
    assert observed_by_route(path) == {"GET /u": 4, "GET /new": 1}


async def test_two_that_count_under_different_rules_are_kept_apart(home: Home) -> None:
    path, clock = home / "a.db", Clock()
    async with opened(path, clock=clock) as one, opened(path, clock=clock) as two:
        one.enter("users", A, START)
        await one.flush()
        two.enter("users", B, START)
        for ledger in (two, one, two, one):
            exchange(ledger)
            await ledger.flush()
            assert_balanced(await ledger.domains())
        for ledger, parts in ((one, A), (two, B)):
            window = ledger.window("users")
            assert window is not None
            assert window.parts == parts
        parts_of = {window.id: window.parts for window in await one.windows("users")}
        by_rules = {"aa": 0, "bb": 0}
        for window_id, n in rows_of(path, 'SELECT "window", n FROM verdicts'):
            by_rules[parts_of[window_id]["rules"]] += n
        assert by_rules == {"aa": 2, "bb": 2}


async def test_begun_while_the_file_was_locked_it_is_still_the_window_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        before = ledger.enter("users", A, START)
        exchange(ledger)
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with opened(path) as ledger:
            assert ledger.recording.reason is not None
            assert ledger.enter("users", A, START + timedelta(days=1)).id != before.id
            ticket = ledger.begin("users", "GET /u")
            exchange(ledger, Verdict.DIFF)
            other.rollback()
            await ledger.flush()
            assert (ledger.window("users"), ticket.window) == (before, before.id)
            assert (await ledger.domains())["users"].verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 1}
            await crash(ledger)
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 1, Verdict.LOST: 1}
        assert counts.window == before


async def test_begun_under_other_rules_while_the_file_was_locked_it_says_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        ledger.enter("users", {"rules": "aa"}, START)
        await ledger.flush()
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with opened(path) as ledger:
            ledger.enter("users", {"rules": "bb"}, START + timedelta(days=1))
            other.rollback()
            await ledger.flush()
            window = ledger.window("users")
            assert window is not None
            assert window.why == "rules changed from aa to bb"
            assert (await ledger.windows("users"))[0] == window


async def test_of_long_past_windows_the_sums_are_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "a.db"
    monkeypatch.setattr(windows_module, "KEPT", 3)
    async with opened(path) as ledger:
        late = None
        for n in range(10):
            ledger.enter("users", {"rules": str(n)}, START)
            exchange(ledger, entity="1", tolerated=(TOLERATED,), primary_seconds=0.1)
            diff(ledger, f"t{n}")
            await ledger.flush()
            late = late or ledger.begin("users", "GET /u")
        assert late is not None
        ledger.record(late, outcome(entity="late", tolerated=(TOLERATED,), shadow_seconds=0.1))
        await ledger.flush()
        found = await ledger.windows("users")
        assert [one.parts["rules"] for one in found] == ["9", "8", "7"]
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 1}
        assert counts.lifetime_verdicts == {Verdict.MATCH: 11, Verdict.DIFF: 10}
        assert_balanced({"users": counts})
    async with opened(path) as ledger:
        ledger.restart("users", "once more", START)
        await ledger.flush()
        assert observed_by_route(path) == {"GET /u": 21}
        assert (
            len(rows_of(path, 'SELECT DISTINCT "window" FROM verdicts')) == 3
        )  # the one begun last counts nothing yet
        assert rows_of(path, "SELECT sum(n) FROM verdicts WHERE \"window\" = ''") == [(17,)]
        for table in ("tolerated", "latency", "watches", "entity_counts", "entities"):
            assert rows_of(path, f"SELECT * FROM {table}") == [], table  # noqa: S608 - names of tables
        assert len((await ledger.findings())[0].id) == 12  # findings are of all windows
        assert (await ledger.findings())[0].exchanges == 10


async def test_many_windows_do_not_make_the_journal_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housing_module, "MOST_UNUSED", 100)
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        held = ledger.begin("users", "GET /held")
        for n in range(30):
            ledger.restart("users", str(n), START)
            for route in range(20):
                exchange(ledger, route=f"GET /{route}")
            await ledger.flush()
        assert len(ledger._tally.slots) <= 2 * 20 + 1
        (found,) = tmp_path.glob("*.journal")
        assert found.stat().st_size <= journal_module.HEADER_BYTES + 4 * journal_module.SEGMENT_BYTES
        ledger.begin("users", "GET /0")
        await crash(ledger)
    assert held.open
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.MATCH: 20, Verdict.LOST: 1}
        assert counts.lifetime_verdicts == {Verdict.MATCH: 600, Verdict.LOST: 2}


async def test_a_new_file_in_the_place_of_a_deleted_one_knows_the_window(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        window = ledger.enter("users", A, START)
        exchange(ledger)
        await ledger.flush()
        remove(path)
        exchange(ledger, Verdict.DIFF, tolerated=(TOLERATED,))
        await ledger.flush()
        await ledger.flush()
        assert ledger.recording.ok
        window = replace(window, why=REPLACED_WHY)
        assert ledger.window("users") == window
    async with reading(path) as reader:
        counts = (await reader.domains())["users"]
        assert (counts.window, counts.verdicts, len(counts.tolerated)) == (window, {Verdict.DIFF: 1}, 1)


async def test_time_watched_goes_with_a_deleted_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", Clock()
    async with opened(path, clock=clock) as ledger:
        ledger.enter("users", A, clock())
        ledger.keep_watch("users", Watch(START, clock.tick(hours=24)))
        await ledger.flush()
        remove(path)
        ledger.keep_watch("users", Watch(START, clock.tick(seconds=5)))
        for _ in range(2):
            await ledger.flush()
        again = clock()
        ledger.keep_watch("users", Watch(START, clock.tick(seconds=5)))
        await ledger.flush()
        assert (await ledger.domains())["users"].watches == (Watch(again, clock()),)


async def test_a_shared_window_in_a_new_file_loses_only_what_was_under_way(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as first, opened(path) as ledger:
        for one in (first, ledger):
            one.enter("users", A, START)
            exchange(one)
            await one.flush()
        window = ledger.window("users")
        assert window == first.window("users")
        await first.close()
        remove(path)
        for _ in range(2):
            await ledger.flush()
        exchange(ledger)
        ledger.begin("users", "GET /u")
        await ledger.flush()
        await crash(ledger)
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert (counts.window and counts.window.id) == (window and window.id)
        assert counts.lifetime_verdicts == {Verdict.MATCH: 1, Verdict.LOST: 1}


async def test_a_ledger_and_a_journal_of_the_time_before_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with monkeypatch.context() as then:
        then.setattr(schema, "REVISIONS", ("0001", "0002"))
        await make(path)
    with closing(sqlite3.connect(path)) as old:
        (ledger_id,) = old.execute("SELECT value FROM meta WHERE name = 'ledger'").fetchone()
        run = "0" * 31 + "1"
        old.execute(f"INSERT INTO runs VALUES ('{run}', '', 0, 0, 0, NULL, 1)")  # noqa: S608 - our own
        old.execute(f"INSERT INTO observed VALUES ('{run}', 'users', 'GET /u', 2, 4, 2)")  # noqa: S608 - our own
        old.execute("INSERT INTO observed VALUES ('', 'users', 'GET /u', 5, 0, 0)")
        old.execute("INSERT INTO verdicts VALUES ('users', 'GET /u', 'match', 7, 100, 200, 12000000000)")
        for minute, n in ((100, 3), (200, 4)):
            for route in ("GET /u", "GET /v"):
                old.execute("INSERT INTO minutes VALUES ('users', ?, 'match', ?, ?)", (route, minute, n))
        old.executemany("INSERT INTO entities VALUES ('users', ?)", [(b"\xff" * 8,), (b"\0" * 8,)])
        old.execute("INSERT INTO entity_counts VALUES ('users', 2)")
        old.commit()
    header = journal_module.HEADER.pack(journal_module.MAGIC_BEFORE, bytes.fromhex(run), bytes.fromhex(ledger_id), 1, 1)
    slots = [
        journal_module.SLOT_BEFORE.pack(begun, 1, len(domain), 6) + f"{domain}GET /u".encode()
        for domain, begun in (("users", 5), ("other", 1))
    ]
    place = journal_module.SLOT_BYTES
    (tmp_path / f"a.db-run-{run}.journal").write_bytes(
        header.ljust(journal_module.HEADER_BYTES, b"\0") + b"".join(slot.ljust(place, b"\0") for slot in slots)
    )
    async with opened(path) as ledger:
        domains = await ledger.domains()
        assert_balanced(domains)
        users = domains["users"]
        assert users.verdicts == {Verdict.MATCH: 7, Verdict.LOST: 3}
        assert users.window is not None
        assert users.window.why == "counted before windows were kept"
        assert users.window.started_at.timestamp() == 6_000
        assert (users.entities, users.entities_exact) == (2, True)
        assert rows_of(path, "SELECT hash FROM entities") == [(-1,), (0,)]
        assert domains["other"].verdicts == {Verdict.LOST: 1}
        assert [one.count for one in await ledger.minutes("users", users.window.started_at)] == [6, 8, 3]
        # Under which rules that was counted nobody knows, so it is not the evidence of any.
        assert ledger.enter("users", A, START).why == "rules changed from unknown to aa"
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.lifetime_observed) == (0, 10)
    assert list(tmp_path.glob("*.journal")) == []


async def test_what_is_kept_beside_the_counts_goes_with_its_window(home: Home) -> None:
    path, clock = home / "a.db", Clock()
    seen = FieldCount("GET /u", "$.name", 1, 1, 0, 0, 1)
    said = Standing("users", "health", "proven", "2.8.79 on both sides", START)
    async with opened(path, clock=clock) as ledger:
        over = ledger.enter("users", A, START)
        await ledger.flush()
        current = ledger.enter("users", B, START)
        await ledger.flush()
        ledger.enter("others", A, START)
        waiting = ledger.window("others")
        assert waiting is not None
        for window in (over, current, waiting):
            await ledger.write(partial(examined.add, window_id=window.id, fields=[seen], damages=[], domain="users"))
            await ledger.write(partial(standing.keep, window_id=window.id, standing=said))
        await ledger.write(partial(tidy, now_us=0, held={waiting.id}))
        for window, kept in ((over, ()), (current, (said,)), (waiting, (said,))):
            assert await ledger.ask(partial(standing.standings, window_id=window.id)) == kept
            fields = await ledger.ask(partial(examined.fields, window_id=window.id))
            assert len(fields) == len(kept)
