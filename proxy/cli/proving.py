"""The work of `shadowread prove`: each check of a domain's provenance now, and damage to pairs that match."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from comparators.ids import IdTable
from proxy.cli.known_ids import known_pairs, parameters_of, targets
from proxy.cli.root import Failure
from proxy.direct.parameters import Parameter
from proxy.identity import IdentityError
from proxy.ledger import examined, standing
from proxy.model import Headers, Observation, ReadRequest, Side
from proxy.opening import Opened
from proxy.provenance import canary, health, scans
from proxy.provenance.counters import Counters
from proxy.provenance.documents import Documents, fetcher
from proxy.provenance.fields import FieldError, Fields, Place
from proxy.provenance.rows import choose
from proxy.settings import RouteMatch, Settings, reader_plan
from proxy.settings.patterns import parse_route
from proxy.verify.examine import Examination, examine, sums
from proxy.verify.judge import primary_verdict, shadow_failed
from proxy.verify.requests import read_request
from proxy.verify.verifier import Verifier
from proxy.verify.work import Job, WorkTimeoutError, compare, response_of, tokens_of
from proxy.window import DamageCount, FieldCount, Proof, Standing, Window

WANTED = 8
"""Requests that the shadow answers; more add nothing to the proof."""
MAX_PROBES = 80
PER_ROUTE = 20
PAIRS = 8
"""Matching pairs that are damaged."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be proved. `headers` are the caller's and are never shown."""

    domain: str
    canary: bool
    targets: tuple[str, ...]
    headers: Headers


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What became of damage to `pairs` matching answers; `differing` did not match, and tell nothing of it."""

    pairs: int
    differing: int
    fields: tuple[FieldCount, ...]
    damages: tuple[DamageCount, ...]

    @property
    def tried(self) -> int:
        return sum(one.tried for one in self.damages)

    @property
    def seen(self) -> int:
        return sum(one.seen for one in self.damages)

    @property
    def unseen(self) -> list[DamageCount]:
        """Damage that was hidden at least once."""
        return [one for one in self.damages if one.seen < one.tried]


@dataclass(frozen=True, slots=True)
class Proved:
    """Everything that was found out. `asked` are the checks that decide the exit code."""

    window: Window
    asked: tuple[str, ...]
    standings: tuple[Standing, ...]
    sensitivity: Sensitivity
    canary: canary.Outcome | None

    @property
    def exit_code(self) -> int:
        """0 all proven, 1 some failed, 2 some cannot be told; where the gate asks for none, all that were looked at."""
        if any(one.proof == "failed" for one in self.standings):
            return 1
        proofs: dict[str, Proof] = {one.check: one.proof for one in self.standings}
        return 0 if all(proofs.get(check) == "proven" for check in self.asked or proofs) else 2


class Proving:
    """One run of the command over what is open."""

    def __init__(self, settings: Settings, opened: Opened, verifier: Verifier, wish: Wish) -> None:
        self._settings = settings
        self._opened = opened
        self._verifier = verifier
        self._wish = wish
        self._domain = settings.domains[wish.domain]
        self._canary: canary.Outcome | None = None

    async def run(self) -> Proved:
        """All checks, one after another. What they say is kept in the domain's window."""
        name = self._wish.domain
        found = [await self._health()]
        requests = await self._requests()
        found.append(await self._scans(requests))
        sensitivity = await self._sensitivity(requests)
        if self._wish.canary:
            found.append(await self._mark(requests))
        window = self._opened.ledger.window(name)
        if window is None:
            raise Failure(f"{name} has no evidence window")
        await self._opened.ledger.write(
            lambda connection: standing.keep_all(connection, [(window.id, one) for one in found])
        )
        if sensitivity.fields or sensitivity.damages:
            await self._opened.ledger.write(
                lambda connection: examined.add(
                    connection, window.id, sensitivity.fields, sensitivity.damages, domain=name
                )
            )
        limits = self._settings.gate_of(name).provenance
        asked = tuple(dict.fromkeys([*limits, *(["canary"] if self._wish.canary else [])]))
        return Proved(window, asked, tuple(found), sensitivity, self._canary)

    # --- the checks ---

    async def _health(self) -> Standing:
        async with AsyncExitStack() as stack:
            documents = Documents(self._settings, fetcher(self._settings, stack), self._opened.chance.now)
            [account] = await documents.look([self._wish.domain])
        if parts := health.parts_of(account.primary, account.shadow):
            self._opened.entered(account.domain, parts)
        return self._standing("health", *health.judge(account.primary, account.shadow))

    async def _scans(self, requests: Sequence[ReadRequest]) -> Standing:
        why = scans.cannot(self._settings, self._domain)
        if why is not None or self._settings.postgres is None:
            return self._standing("scans", "unknown", why or "Postgres cannot be asked: set postgres.dsn")
        if not requests:
            text = "no request is known that the shadow answers; name some by --target, with credentials by --headers"
            return self._standing("scans", "unknown", text)
        counters = Counters(self._settings.postgres.dsn.get_secret_value(), self._domain.tables)
        made = self._settings.provenance
        chance = self._opened.chance
        pace = scans.Pace(made.reads, made.control, chance.monotonic, chance.sleep)
        try:
            found = await scans.scan(self._wish.domain, self._domain.tables, requests, self._verifier, counters, pace)
        finally:
            await counters.close()
        return self._standing("scans", *found)

    async def _mark(self, requests: Sequence[ReadRequest]) -> Standing:
        made, dsn = self._domain.provenance.canary, self._settings.provenance.canary_dsn
        if made is None:
            return self._standing("canary", "unknown", "the domain names no harmless field (provenance.canary)")
        if dsn is None:
            text = "no account that may write is named (provenance.canary_dsn); postgres.dsn is not used for that"
            return self._standing("canary", "unknown", text)
        given = requests if self._wish.targets else ()
        try:
            async with Fields.open(dsn.get_secret_value()) as fields:
                means = canary.Means(
                    fields,
                    self._opened.ledger,
                    self._verifier,
                    self._opened.chance.now,
                    lambda: secrets.token_hex(8),
                    self._opened.chance.sleep,
                )
                trials = await choose(
                    self._settings, self._wish.domain, self._opened.identity, means,
                    given=given, headers=self._wish.headers,
                )  # fmt: skip
                for trial in trials:
                    self._canary = await canary.run(trial, means)
                    if self._canary.proof == "proven":
                        break
        except (FieldError, IdentityError) as error:
            return self._standing("canary", "unknown", str(error))
        if self._canary is None:
            text = (
                f"no row of {Place.of(made).name} is shown by a route of the domain; name one by --target, with "
                "credentials by --headers"
            )
            return self._standing("canary", "unknown", text)
        return self._standing("canary", self._canary.proof, self._canary.text)

    def _standing(self, check: Any, proof: Proof, text: str) -> Standing:
        return Standing(self._wish.domain, check, proof, text, self._opened.chance.now())

    # --- requests ---

    async def _requests(self) -> list[ReadRequest]:
        """Requests that the shadow answers: those that were given, or for things that the id map knows."""
        if self._wish.targets:
            for target in self._wish.targets:
                match = self._match(target)
                if match is None or match.domain != self._wish.domain:
                    raise Failure(f"--target {target.partition('?')[0]}: no GET route of {self._wish.domain} claims it")
            return [self._get(target) for target in self._wish.targets]
        answered: list[ReadRequest] = []
        for target in (await self._known())[:MAX_PROBES]:
            request = self._get(target)
            seen = await self._verifier.shadow_read(self._wish.domain, request)
            if seen.error is None and seen.status is not None and 200 <= seen.status < 300:
                answered.append(request)
            if len(answered) == WANTED:
                break
        return answered

    async def _known(self) -> list[str]:
        """Targets that may find something, of each route in turn."""
        pairs = await known_pairs(self._settings)
        by_route: list[list[str]] = []
        for route in self._domain.routes:
            pattern = parse_route(route.route)
            if pattern.method != "GET":
                continue
            plans = [reader_plan(self._settings, self._wish.domain, route.route, side) for side in Side]
            named = [
                Parameter("path", step, entity=entity)
                for step, entity in (route.sweep.entities if route.sweep is not None else {}).items()
            ]
            found = targets(pattern, [*parameters_of(plan for plan in plans if plan is not None), *named], pairs)
            by_route.append([one.text for one in found][:PER_ROUTE])
        return [text for text in chain.from_iterable(zip_longest(*by_route)) if text is not None]

    def _get(self, target: str) -> ReadRequest:
        return ReadRequest("GET", target, self._wish.headers)

    def _match(self, target: str) -> RouteMatch | None:
        return self._settings.router().match("GET", target)

    # --- sensitivity ---

    async def _sensitivity(self, requests: Sequence[ReadRequest]) -> Sensitivity:
        """Damage to some pairs of answers that match; nothing of it is a verdict."""
        found: list[tuple[str, Examination]] = []
        differing = 0
        for request in requests[-PAIRS:]:
            match = self._match(request.target)
            job = None if match is None else await self._pair(request, match)
            if match is None or job is None:
                continue
            try:
                if not compare(job).equal:
                    differing += 1
                    continue
                made = await self._opened.work.apart(
                    examine, job, limit=self._settings.examine.damages, seed=secrets.randbits(32)
                )
            except WorkTimeoutError:
                continue
            found.append((match.route, made))
        fields, damages = sums(found)
        return Sensitivity(len(found), differing, fields, damages)

    async def _pair(self, request: ReadRequest, match: RouteMatch) -> Job | None:
        facts = self._opened.sides.facts().get((match.domain, match.route))
        if facts is None:
            return None
        asked = read_request(request.method, request.target, request.headers)
        primary = await facts.primary.read(asked, self._settings.shadow.timeout)
        shadow = await self._verifier.shadow_read(match.domain, request)
        if primary_verdict(primary) is not None or shadow_failed(shadow):
            return None
        try:
            table = await self._table(primary, shadow)
        except IdentityError:
            return None
        limits = self._settings.limits
        return Job(
            response_of(primary), response_of(shadow), facts.layers, self._opened.chance.now().date(), table,
            head_only=False, max_depth=limits.depth, max_differences=limits.differences,
        )  # fmt: skip

    async def _table(self, primary: Observation, shadow: Observation) -> IdTable:
        texts = [seen.body or b"" for seen in (primary, shadow)]
        texts += [value for seen in (primary, shadow) for _, value in seen.headers]
        found = tokens_of(texts)
        return await self._opened.identity.lookup(found) if found else IdTable()
