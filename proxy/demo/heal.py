"""Domains that are made healthy while the demo runs, and how their gates answer to it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from proxy.demo.bugs import BUGS
from proxy.demo.marketplace.healing import CONTROL_FIELD, PATH
from proxy.demo.processes import ProcessError
from proxy.errors import ShadowreadError

OPEN_ENDED_SECONDS = 20.0
"""When a domain is healed that names no time, in a run that names no end."""
PATIENCE_SECONDS = 20.0
"""How long it is waited for a difference to be seen: of what nobody has seen, nobody sees that it is gone."""
MOST_MOMENTS = 200
SHOWN = frozenset(bug.domain for bug in BUGS if bug.findable)
"""The domains whose bugs a comparison can see."""


@dataclass(frozen=True, slots=True)
class Heal:
    """A domain to be healed `at` seconds after traffic has begun, or when its first difference was seen after that."""

    domain: str
    at: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What the gate of a domain said from `at` on (seconds of traffic), until the next moment.

    `conditions` names those that did not hold; `reasons` are their sentences with the figures of that moment.
    """

    at: float
    gate: str
    conditions: tuple[str, ...]
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"at": self.at, "gate": self.gate, "conditions": list(self.conditions), "reasons": list(self.reasons)}


@dataclass
class Case:
    """One domain that was healed, and what its gate has said since."""

    domain: str
    at: float
    bugs: tuple[str, ...]
    repaired: int
    version: str
    moments: list[Moment] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "at": self.at,
            "bugs": list(self.bugs),
            "repaired": self.repaired,
            "version": self.version,
            "reasons": [moment.as_json() for moment in self.moments],
        }


def parse_heals(texts: Sequence[str], duration: float | None, *, direct: bool = False) -> tuple[Heal, ...]:
    """`DOMAIN` or `DOMAIN@SECONDS` each, in the order of their times; a third of the duration where no time is named.

    Raises ShadowreadError, naming the text, for a domain without a planted bug that can be healed and for a time
    outside of the run. `direct`: there is no twin whose code could be repaired.
    """
    sick = {bug.domain for bug in BUGS if bug.stored or not direct}
    heals: dict[str, Heal] = {}
    for text in texts:
        domain, _, seconds = text.partition("@")
        if domain not in sick:
            raise ShadowreadError(f"--heal {text!r}: there is nothing to heal but in {', '.join(sorted(sick))}")
        at = duration / 3 if duration is not None else OPEN_ENDED_SECONDS
        if seconds:
            try:
                at = float(seconds)
            except ValueError:
                raise ShadowreadError(f"--heal {text!r}: write DOMAIN@SECONDS, say {domain}@10") from None
        if not 0 <= at < (duration if duration is not None else float("inf")):
            raise ShadowreadError(f"--heal {text!r}: traffic does not run at that time")
        heals[domain] = Heal(domain, round(at, 1))
    return tuple(sorted(heals.values(), key=lambda heal: heal.at))


def control_word() -> str:
    return secrets.token_urlsafe(24)


class Healing:
    """Heals what is due and keeps the moments at which a healed domain's gate gave other reasons. `tick` drives it.

    `backends` are told in this order: the one that writes first, so that what the other one will say is repaired by
    then. `domain` asks the admin site for one; `clock` counts the seconds of traffic.
    """

    def __init__(
        self,
        heals: Sequence[Heal],
        backends: Sequence[str],
        control: str,
        *,
        session: aiohttp.ClientSession,
        domain: Callable[[str], Awaitable[Mapping[str, Any]]],
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        self._due = list(heals)
        self._backends = backends
        self._control = control
        self._session = session
        self._domain = domain
        self._clock = clock
        self._tell = tell
        self.cases: list[Case] = []

    async def tick(self) -> None:
        """Heal what is due, then look at the gates of all that were healed. Raises ProcessError."""
        for heal in [heal for heal in self._due if heal.at <= self._clock()]:
            told = await self._domain(heal.domain)
            if (
                heal.domain in SHOWN
                and not told["verdicts"].get("diff", 0)
                and self._clock() < heal.at + PATIENCE_SECONDS
            ):
                continue
            self._due.remove(heal)
            self.cases.append(await self._heal(heal, moment_of(self._now(), told)))
        for case in self.cases:
            await self._look(case)

    async def _look(self, case: Case) -> None:
        if len(case.moments) >= MOST_MOMENTS:
            return
        told = await self._domain(case.domain)
        moment = moment_of(self._now(), told)
        if not case.moments or changed(case.moments[-1], moment):
            before = case.moments[-1] if case.moments else None
            case.moments.append(moment)
            self._tell(f"{case.domain} {line_of(moment, before)}")

    async def _heal(self, heal: Heal, before: Moment) -> Case:
        stored = any(bug.stored for bug in BUGS if bug.domain == heal.domain)
        bugs: list[str] = []
        repaired, version = 0, ""
        for number, backend in enumerate(self._backends):
            # Where nothing is in the store, the instance that serves the clients has nothing to be healed of.
            if number == 0 and not stored:
                continue
            done = await self._post(backend, heal.domain)
            bugs += [bug for bug in done["bugs"] if bug not in bugs]
            repaired, version = repaired + done["repaired"], done["version"]
        case = Case(heal.domain, self._now(), tuple(bugs), repaired, version, [before])
        self._tell(f"{heal.domain} {line_of(before, None)}; healed, its backend is {version} from now on")
        return case

    async def _post(self, backend: str, domain: str) -> dict[str, Any]:
        url = backend + PATH.replace("{domain}", domain)
        try:
            async with self._session.post(url, headers={CONTROL_FIELD: self._control}) as response:
                if response.status != 200:
                    raise ProcessError(f"{domain} could not be healed: {url} answered {response.status}")
                done: dict[str, Any] = await response.json()
                return done
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProcessError(f"{domain} could not be healed: {url}: {error}") from error

    def _now(self) -> float:
        return round(self._clock(), 1)


def moment_of(at: float, told: Mapping[str, Any]) -> Moment:
    """What the admin site tells of a domain, as the moment `at`."""
    failing = tuple(condition["name"] for condition in told["conditions"] if not condition["ok"])
    return Moment(at, told["gate"], failing, tuple(told["reasons"]))


def changed(before: Moment, now: Moment) -> bool:
    """Whether other conditions hold; their figures change all the time."""
    return (before.gate, before.conditions) != (now.gate, now.conditions)


def line_of(moment: Moment, before: Moment | None) -> str:
    """`12.0 s closed: comparisons, soak (diffs holds now)`."""
    text = f"{moment.at:.1f} s {moment.gate}"
    if moment.conditions:
        text += f": {', '.join(moment.conditions)}"
    gone = [name for name in before.conditions if name not in moment.conditions] if before is not None else []
    if gone:
        text += f" ({', '.join(gone)} {'holds' if len(gone) == 1 else 'hold'} now)"
    return text
