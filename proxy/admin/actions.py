"""What can be changed from outside: findings are accepted or not, exchanges are read again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Literal

from proxy.admin.desk import Desk, Notice, Refused, ReplayAnswer
from proxy.admin.refusals import RefusedError
from proxy.ledger import Acceptance, Finding, Ledger
from proxy.ledger.findings import accept as keep
from proxy.ledger.findings import revoke as take_back

OWNER_CHARACTERS = 200
WHY_CHARACTERS = 2_000
MOST_DAYS = 366
"""How far ahead an acceptance may end: what nobody looks at again for longer is no exception but a rule."""


def acceptance_of(given: Mapping[str, str], now: datetime) -> Acceptance:
    """What was typed, as an acceptance. Raises RefusedError, which bears what was typed."""
    owner = _text(given, "owner", "who answers for it", OWNER_CHARACTERS)
    why = _text(given, "why", "why it may stay", WHY_CHARACTERS)
    text, today = given.get("until", "").strip(), now.astimezone(UTC).date()
    latest = today + timedelta(days=MOST_DAYS)
    try:
        until = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise _refused(given, "until", "until which day it stands is written as in 2026-12-31") from None
    if until < today:
        raise _refused(given, "until", f"{until} is past; it ends today ({today}, UTC) at the earliest")
    if until > latest:
        raise _refused(given, "until", f"it can stand until {latest} at most; accept it again by then")
    return Acceptance(owner, why, until, now)


async def accept(desk: Desk, id_: str, given: Mapping[str, str]) -> Finding:
    """Accept a finding as `given` says. Raises UnknownNameError, RefusedError and LedgerError."""
    await _known(desk, id_)
    acceptance = acceptance_of(given, desk.now())
    await desk.evidence.ledger.write(lambda connection: keep(connection, id_, acceptance))
    desk.snapshot.forget()
    return await desk.evidence.finding(id_)


async def revoke(desk: Desk, id_: str) -> Finding:
    """Take an acceptance back, if there is one. Raises UnknownNameError and LedgerError."""
    await _known(desk, id_)
    await desk.evidence.ledger.write(lambda connection: take_back(connection, id_))
    desk.snapshot.forget()
    return await desk.evidence.finding(id_)


async def replay(desk: Desk, id_: str) -> ReplayAnswer:
    """Read a stored exchange again. Raises UnknownNameError, RefusedError and LedgerError."""
    if desk.replays is None:
        raise RefusedError(Refused("no route has a shadow, so nothing can be read again"), HTTPStatus.CONFLICT)
    answer = await desk.replays.trace(id_)
    desk.snapshot.forget()
    return answer


def notice_of(answer: ReplayAnswer) -> Notice:
    """What a replay told, for the page."""
    words = {"gone": "Gone", "differs": "Still differs", "unknown": "Cannot be told"}
    kinds: Mapping[str, Literal["good", "bad", "plain"]] = {"gone": "good", "differs": "bad", "unknown": "plain"}
    return Notice(kinds[answer.answer], f"{words[answer.answer]}: {answer.text}")


async def _known(desk: Desk, id_: str) -> None:
    """A finding that was seen a moment ago is written first, for an acceptance needs it in the ledger."""
    await desk.evidence.finding(id_)
    if isinstance(desk.evidence.ledger, Ledger):
        await desk.evidence.ledger.flush()


def _text(given: Mapping[str, str], name: str, says: str, most: int) -> str:
    # Half of a surrogate pair can be sent, but not be stored.
    text = given.get(name, "").strip().encode(errors="replace").decode().replace("\0", "\ufffd")
    if not text:
        raise _refused(given, name, f"say {says}")
    if len(text) > most:
        raise _refused(given, name, f"{says}: it has {len(text)} characters, at most {most} are kept")
    return text


def _refused(given: Mapping[str, str], name: str, text: str) -> RefusedError:
    values = {one: given.get(one, "")[: 2 * WHY_CHARACTERS] for one in ("owner", "why", "until")}
    return RefusedError(Refused(text, name, values))
