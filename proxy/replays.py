"""Reading a stored exchange again when somebody presses the button for it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from proxy.admin.desk import ReplayAnswer
from proxy.admin.evidence import UnknownNameError
from proxy.errors import LedgerError
from proxy.ledger import Finding, FindingState, Ledger
from proxy.model import Trace
from proxy.sweep.replay import NOT_READ, Replay, findings_in
from proxy.tasks import TaskGroup
from proxy.verify.case import Chance
from proxy.verify.verifier import Verifier

SECONDS = 30.0
"""For how long one who presses the button is kept waiting."""
AT_ONCE = 2
MOST_FINDINGS = 5
"""Findings of one exchange that are closed along with it; each may ask for twenty exchanges more."""


class Replays:
    """Answers as `shadowread replay --trace` does; and when the difference is gone, the findings of it are read again
    as `--finding` does, and closed when none of their exchanges shows them any more."""

    def __init__(self, verifier: Verifier, ledger: Ledger, chance: Chance, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._verifier = verifier
        self._ledger = ledger
        self._chance = chance
        self._tasks = TaskGroup(AT_ONCE)

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Leave what is under way; it counts as lost."""
        await self._tasks.drain(0)

    async def trace(self, id_: str) -> ReplayAnswer:
        """Raises UnknownNameError for a trace that is not kept, LedgerError when the ledger cannot be read.

        What takes longer than `SECONDS` goes on: a reading that is broken off would count as lost.
        """
        stored = await self._ledger.trace(id_)
        if stored is None:
            raise UnknownNameError(f"no trace has the id {id_[:100]!r}; it may have made room for newer ones")
        answers: list[ReplayAnswer] = []
        errors: list[LedgerError] = []

        async def run() -> None:
            try:
                answers.append(await self._replay(stored))
            except LedgerError as error:
                errors.append(error)

        task = self._tasks.start(run(), name="replay")
        if task is None:
            return ReplayAnswer("unknown", f"{AT_ONCE} replays are under way; try again in a moment", None)
        await asyncio.wait({task}, timeout=self.seconds)
        if errors:
            raise errors[0]
        if answers:
            return answers[0]
        late = f"it takes more than {self.seconds:g} s and goes on; look again later"
        return ReplayAnswer("unknown", "it broke off; the log of the process says why" if task.done() else late, None)

    async def _replay(self, stored: Trace) -> ReplayAnswer:
        kept = self._verifier.remembered.get(stored.id) is not None
        again = Replay(self._verifier, self._ledger, self._chance, (), self._verifier.remembered)
        found = await again.trace(stored)
        text = found.text
        if not text.startswith(NOT_READ):
            text += "; read " + ("with the request as it came" if kept else "from the stored request, without secrets")
        if found.answer == "gone":
            text += await self._close(again, sorted(findings_in(stored)))
        return ReplayAnswer(found.answer, text, found.again)

    async def _close(self, again: Replay, ids: Collection[str]) -> str:
        """Close what is gone of the findings `ids`; says what came of it."""
        found = [one for id_ in list(ids)[:MOST_FINDINGS] if (one := await self._open(id_)) is not None]
        judged = [await again.finding(one) for one in found]
        closed = sum(one.closed for one in judged)
        said = [f"{closed} finding{' is' if closed == 1 else 's are'} closed"] if closed else []
        said += [f"the finding at {one.finding.path} stays: {one.text}" for one in judged if not one.closed]
        if len(ids) > MOST_FINDINGS:
            said.append(f"{len(ids) - MOST_FINDINGS} more are left to `shadowread replay`")
        return "".join(f"; {one}" for one in said)

    async def _open(self, id_: str) -> Finding | None:
        found = await self._ledger.finding(id_)
        return None if found is None or found.state is FindingState.GONE else found
