"""Reading stored diffs again, to tell which of them are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from comparators.paths import pattern_of
from proxy.ledger import Finding, FindingState, Ledger, LedgerReader, findings, reader
from proxy.ledger.details import PATH_CHARACTERS, clean, finding_id
from proxy.model import COMPARISONS, Headers, ReadRequest, Trace, Verdict
from proxy.sweep.sweep import Asks
from proxy.verify.case import Asked, Chance
from proxy.verify.redact import is_tag
from proxy.verify.remembered import Remembered
from proxy.verify.verifier import NotClaimedError

MOST_TRACES = 20
"""Traces of one finding that are read again: the first one, and the newest."""
NOT_READ = "cannot be read again"
"""How the text of a stored exchange begins of which nothing was asked."""
_READS = frozenset({"GET", "HEAD"})
_MADE_ANEW = frozenset({"host", "content-length", "transfer-encoding", "connection", "x-shadow-read"})

Answer = Literal["gone", "differs", "unknown"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one stored exchange. `trace` is the stored one, `again` the trace of the new reading, if any."""

    trace: str
    route: str
    target: str
    answer: Answer
    text: str
    again: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one finding: gone when none of its stored exchanges shows it any more. `closed` once that is
    noted in the ledger."""

    finding: Finding
    answer: Answer
    text: str
    closed: bool
    replayed: tuple[Replayed, ...]


def request_of(trace: Trace, headers: Headers) -> ReadRequest | str:
    """The stored request with these header fields in the place of its own of the same names; or why it cannot be read
    again."""
    if trace.method not in _READS:
        return f"it is a {trace.method}, and bodies of requests are not kept"
    if is_tag(unquote(trace.target)):
        return "a query parameter of it is redacted"
    given = {name.decode("latin-1").lower() for name, _ in headers}
    kept: list[tuple[bytes, bytes]] = []
    for name, value in trace.request_headers:
        if name.lower() in given or name.lower() in _MADE_ANEW - {"host"}:
            continue
        if is_tag(value):
            return f"its {name} is redacted; give one under --headers"
        kept.append((name.encode("latin-1", "replace"), value.encode("latin-1", "replace")))
    return ReadRequest(trace.method, trace.target, (*kept, *headers))


def answer_to(trace: Trace, asked: Asked, wanted: frozenset[str]) -> tuple[Answer, str]:
    """What a new reading says of the differences whose finding ids are `wanted`."""
    if asked.verdict not in COMPARISONS:
        return "unknown", f"{asked.verdict.value}{f': {asked.detail}' if asked.detail else ''}"
    if wanted & found_in(asked):
        return "differs", "it still differs"
    status = asked.primary.status if asked.primary else None
    if status != trace.primary_status:
        return "unknown", f"the primary now answers with status {status}, then it was {trace.primary_status}"
    if asked.total > len(asked.differences):
        return "unknown", f"{asked.total} differences, of which not all were kept"
    if asked.verdict is Verdict.DIFF:
        return "gone", f"gone, but it differs in {asked.total} other place{'' if asked.total == 1 else 's'}"
    if asked.verdict is Verdict.UNSTABLE:
        return "unknown", "the primary disagrees with itself"
    return "gone", "both sides are equal"


def found_in(asked: Asked) -> frozenset[str]:
    """The ids of the findings that the differences of a new reading belong to."""
    return frozenset(
        finding_id(asked.domain, asked.route, clean(pattern_of(one.path)[:PATH_CHARACTERS]), one.kind.value)
        for one in asked.differences
    )


def findings_in(trace: Trace) -> frozenset[str]:
    """The ids of the findings that the differences of a stored exchange belong to."""
    return frozenset(
        finding_id(trace.domain, trace.route, clean(pattern_of(one.path)[:PATH_CHARACTERS]), one.kind.value)
        for one in trace.differences
    )


class Replay:
    """Reads stored exchanges again through `asks`; each at most once, however many findings it belongs to.

    What `remembered` still has is read with the request as it came, with its credentials and its body.
    """

    def __init__(
        self, asks: Asks, ledger: Ledger, chance: Chance, headers: Headers, remembered: Remembered | None = None
    ) -> None:
        self._asks = asks
        self._remembered = remembered
        self._ledger = ledger
        self._chance = chance
        self._headers = headers
        self._read: dict[str, tuple[Trace, Asked | str]] = {}

    async def trace(self, trace: Trace) -> Replayed:
        """Read one stored exchange again. Closes nothing: others of the same finding may still differ."""
        return await self._replay(trace, findings_in(trace))

    async def finding(self, finding: Finding) -> Judged:
        """Read the stored exchanges of a finding again, and close it when all of them were read and it is gone from
        all. Raises LedgerError."""
        began = self._chance.now()
        replayed = [await self._replay(one, frozenset({finding.id})) for one in await self._traces(finding)]
        answer, text = _judgement(replayed)
        if answer != "gone":
            return Judged(finding, answer, text, closed=False, replayed=tuple(replayed))
        await self._ledger.flush()
        why = f"replayed: {text}"
        closed = await self._ledger.write(lambda connection: findings.close(connection, finding.id, began, why))
        if not closed:
            return Judged(finding, "differs", "it was seen again meanwhile", closed=False, replayed=tuple(replayed))
        return Judged(finding, answer, text, closed=True, replayed=tuple(replayed))

    async def _traces(self, finding: Finding) -> list[Trace]:
        listed = await self._ledger.traces(finding=finding.id, limit=MOST_TRACES)
        ids = dict.fromkeys([*(one.id for one in listed), *filter(None, (finding.first_trace, finding.last_trace))])
        found = [await self._ledger.trace(id_) for id_ in ids]
        return [one for one in found if one is not None]

    async def _replay(self, trace: Trace, wanted: frozenset[str]) -> Replayed:
        if trace.id not in self._read:
            self._read[trace.id] = (trace, await self._ask(trace))
        asked = self._read[trace.id][1]
        if isinstance(asked, str):
            return Replayed(trace.id, trace.route, trace.target, "unknown", f"{NOT_READ}: {asked}")
        answer, text = answer_to(trace, asked, wanted)
        return Replayed(trace.id, trace.route, trace.target, answer, text, asked.trace_id)

    async def _ask(self, trace: Trace) -> Asked | str:
        kept = None if self._remembered is None else self._remembered.get(trace.id)
        request = kept or request_of(trace, self._headers)
        if isinstance(request, str):
            return request
        try:
            asked = await self._asks.ask(request)
        except NotClaimedError as error:
            return str(error)
        if (asked.domain, asked.route) != (trace.domain, trace.route):
            return f"it now belongs to {asked.domain}, {asked.route}"
        return asked


def _judgement(replayed: Sequence[Replayed]) -> tuple[Answer, str]:
    if not replayed:
        return "unknown", "no exchange of it is kept"
    differ = sum(one.answer == "differs" for one in replayed)
    gone = sum(one.answer == "gone" for one in replayed)
    if differ:
        return "differs", f"{differ} of {len(replayed)} stored exchanges still differ"
    if gone < len(replayed):
        first = next(one for one in replayed if one.answer == "unknown")
        return "unknown", f"{len(replayed) - gone} of {len(replayed)} stored exchanges tell nothing: {first.text}"
    return "gone", f"none of {len(replayed)} stored exchanges differs any more"


async def still_open(ledger: LedgerReader, domain: str) -> tuple[list[Finding], bool]:
    """The findings of a domain that are still to be replayed, and whether there may be more than these."""
    states = [state for state in FindingState if state is not FindingState.GONE]
    # Asked for by state: those that are gone must not take the room of those that are not.
    found = [await ledger.findings(domain, state=state) for state in states]
    return [one for some in found for one in some], any(len(some) >= reader.PAGE for some in found)
