"""Large bodies are put together in a process of their own, once, and what it keeps is bounded."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comparators.ids import IdTable
from proxy.admin import tree_work, trees
from proxy.admin.evidence import Evidence
from proxy.admin.tree_work import Shelf, Tree, TreeJob
from proxy.admin.trees import DIED, TOO_LONG, Trees
from proxy.ledger import Ledger
from proxy.model import Outcome, Trace
from proxy.verify.work import WorkerDiedError, WorkTimeoutError
from tests.admin.recorded import AT, settings_in
from tests.admin.traced import Map, large_pair, traced


class Asked(Evidence):
    """Counts how often a trace is read from the ledger."""

    asked = 0

    async def trace(self, trace: str) -> Trace:
        self.asked += 1
        return await super().trace(trace)


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[tuple[Trees, Asked, Trace]]:
    settings = settings_in(tmp_path)
    ledger = await Ledger.open(
        settings.ledger.url, flush_seconds=0.1, max_traces=10, max_trace_bytes=10_000_000, max_findings=10,
        clock=lambda: AT,
    )  # fmt: skip
    kept = traced("large", *large_pair(60_000, every=10))
    ticket = ledger.begin(kept.domain, kept.route)
    ledger.record(ticket, Outcome(kept.domain, kept.route, kept.verdict, kept.at, trace=kept))
    evidence = Asked(settings, ledger, now=lambda: AT)
    made = Trees(evidence, Map(), lambda: AT)
    yield made, evidence, kept
    await made.close()
    await ledger.close()


async def test_what_was_looked_at_is_kept_apart_for_further_looks(large: tuple[Trees, Asked, Trace]) -> None:
    made, evidence, kept = large
    drawn = await made.outline(kept)
    assert drawn.rows[0]["state"] == "inside"
    assert not drawn.why
    for _ in range(2):
        found = await made.children(kept.id, "0", by_path=False, offset=0, end=None, limit=10)
        assert (found.path, found.total, len(found.rows)) == ("$[0]", 5, 5)
    assert evidence.asked == 0


async def test_a_process_that_dies_takes_nothing_with_it(large: tuple[Trees, Asked, Trace]) -> None:
    made, evidence, kept = large
    await made.outline(kept)
    os.kill(await made._work.apart(os.getpid), signal.SIGKILL)
    found = await made.children(kept.id, "$[1].title", by_path=True, offset=0, end=None, limit=10)
    assert (found.at, found.total) == ("1.1", 0)
    assert evidence.asked == 1


async def test_what_takes_too_long_says_so(large: tuple[Trees, Asked, Trace], monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, kept = large
    for error, why in ((WorkTimeoutError, TOO_LONG), (WorkerDiedError, DIED)):

        async def late(*_: object, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(made._work, "apart", late)
        # While its ids are gathered as well as afterwards.
        for ids in (Map(), None):
            monkeypatch.setattr(made, "_ids", ids)
            assert (await made.outline(kept)).why == why


async def test_more_ids_than_are_looked_up_are_told(
    large: tuple[Trees, Asked, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, kept = large
    monkeypatch.setattr(trees, "MAX_TOKENS", 3)
    (remark,) = (await made.outline(kept)).remarks
    assert "3 of them were looked up" in remark


async def test_what_is_under_way_does_not_hold_up_the_end(
    large: tuple[Trees, Asked, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _, _ = large
    monkeypatch.setattr(trees, "CLOSE_SECONDS", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(made._work, "close", asyncio.Event().wait)  # never
        await asyncio.wait_for(made.close(), 5)


def tree_of(size: int) -> Tree:
    body = b'"' + b"x" * size + b'"'
    made = Tree.of(TreeJob(body, body, "[]", AT.date(), IdTable(), (), 0, 200))
    assert isinstance(made, Tree)
    return made


def test_the_shelf_is_bounded_in_trees_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_work, "SHELF_BYTES", 1_000)
    shelf, small = Shelf(), tree_of(10)
    for number in range(tree_work.SHELF_TREES + 1):
        shelf.put(str(number), small, 20)
    assert shelf.get("0") is None
    assert shelf.get("1") is small
    shelf.put("large", small, 2_000)
    # The one that is looked at stays, however large it is.
    assert shelf.get("large") is small
    assert shelf.get("1") is None
