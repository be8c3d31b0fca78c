"""Direct readers held against their servers: each statement proved, then run for something that exists."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date

from comparators.ids import IdPair
from proxy.cli.inspect import Line
from proxy.cli.known_ids import Target, known_pairs, parameters_of, targets, unknown_steps
from proxy.cli.proved import RouteProof, StatementProof, counted, statement_proofs, store_of, verdict_lines, with_fields
from proxy.cli.stores import MongoProver, Plan, PostgresProver, Prover, StoreError
from proxy.cli.trials import RouteReaders, Trial, Trials
from proxy.errors import ShadowreadError
from proxy.identity import Identity, IdentityError
from proxy.model import Headers, Side
from proxy.opening import hiding_of
from proxy.settings import Settings, reader_plan
from proxy.settings.patterns import READS, parse_route
from proxy.sides import Sides
from proxy.verify.case import RouteFacts
from proxy.verify.redact import Redactor


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `check` asks beyond the plain proof.

    `targets` are tried at the routes that claim them, in the place of what the id map knows; `headers` go with every
    request to a backend or a reader. `explain` asks for plans.
    """

    targets: tuple[str, ...] = ()
    headers: Headers = ()
    explain: bool = False


async def prove(settings: Settings, today: date, wish: Wish) -> tuple[list[Line], list[RouteProof]]:
    """Prove every direct reader of the configuration, in its order. Only reads, and each read has its limit of time.

    `today` decides which rules of the comparison have expired.
    """
    planned = [
        (claim.domain, claim.pattern.text, plans)
        for claim in settings.claims()
        if (plans := _plans(settings, claim.domain, claim.pattern.text))
    ]
    wanted, lines = _wanted(settings, [(domain, route) for domain, route, _ in planned], wish)
    if not planned:
        return lines, []
    async with AsyncExitStack() as stack:
        bench = _Bench(settings, wish, today)
        await bench.open(stack, [plan for _, _, plans in planned for plan in plans.values()])
        proofs = [
            await bench.prove(domain, route, plans, wanted.get((domain, route), [])) for domain, route, plans in planned
        ]
        return lines + bench.lines, [proof for proof in proofs if proof is not None]


def _plans(settings: Settings, domain: str, route: str) -> dict[Side, Plan]:
    found = {side: reader_plan(settings, domain, route, side) for side in Side}
    return {side: plan for side, plan in found.items() if plan is not None}


def _wanted(
    settings: Settings, routes: Sequence[tuple[str, str]], wish: Wish
) -> tuple[dict[tuple[str, str], list[Target]], list[Line]]:
    """The given targets by the route that claims them, and what is wrong with the others."""
    router, found, lines = settings.router(), dict[tuple[str, str], list[Target]](), list[Line]()
    for text in wish.targets:
        match = router.match("GET", text)
        if match is None or (match.domain, match.route) not in routes:
            why = "no route claims it" if match is None else f"{match.domain}: {match.route} reads no store"
            path = text.partition("?")[0]
            lines.append(Line("target", path, False, why, "give a path that a route with a reader of its own claims"))
        else:
            found.setdefault((match.domain, match.route), []).append(Target(text))
    return found, lines


class _Bench:
    """The servers, the id map and what was found out so far."""

    def __init__(self, settings: Settings, wish: Wish, today: date) -> None:
        self._settings = settings
        self._wish = wish
        self._today = today
        self._identity = Identity.of(settings)
        self._trials: Trials | None = None
        self._pairs: list[IdPair] = []
        self._provers: dict[str, Prover | None] = {}
        self._facts: dict[tuple[str, str], RouteFacts] = {}
        self.lines: list[Line] = []

    async def open(self, stack: AsyncExitStack, plans: Sequence[Plan]) -> None:
        settings = self._settings
        stack.push_async_callback(self._identity.close)
        try:
            await self._identity.start()
            self._trials = Trials(
                settings,
                self._identity,
                # The configuration's own secrets are masked in all that a command prints.
                Redactor(hiding_of(settings)._replace(known=()), secrets.token_bytes(32)),
                headers=self._wish.headers,
                today=self._today,
            )
            self._pairs = await known_pairs(settings)
        except IdentityError:
            # Told by the check of the id map; without it only statements can be proved.
            self._trials = None
        # A domain that is off is proved as well: before it is turned on is the time to know.
        domains = {name: one.model_copy(update={"stage": "shadow"}) for name, one in settings.domains.items()}
        try:
            sides = await Sides.open(settings.model_copy(update={"domains": domains}), self._identity, stack)
            self._facts = sides.facts()
        except ShadowreadError as error:
            self.lines.append(Line("readers", "", False, str(error), "correct the configuration"))
        for store in sorted({store_of(plan) for plan in plans}):
            self._provers[store] = await self._opened(stack, store)

    async def _opened(self, stack: AsyncExitStack, store: str) -> Prover | None:
        prover: Prover = PostgresProver(self._settings) if store == "postgres" else MongoProver(self._settings)
        where = "postgres.dsn" if store == "postgres" else "mongo.url"
        stack.push_async_callback(prover.close)
        try:
            await prover.start()
        except StoreError as error:
            self.lines.append(Line(store, where, False, str(error), f"start it, or correct {where}"))
            return None
        self.lines.append(Line(store, where, True, "reached"))
        return prover

    async def prove(
        self, domain: str, route: str, plans: Mapping[Side, Plan], wanted: Sequence[Target]
    ) -> RouteProof | None:
        """What can be said of a route; None when one of its stores is away."""
        where = f"{domain}: {route}"
        if any(self._provers[store_of(plan)] is None for plan in plans.values()):
            self.lines.append(
                Line("reader", where, True, "not proved: its store is away", "check again when it is there")
            )
            return None
        statements: list[StatementProof] = []
        sound = True
        for side, plan in plans.items():
            try:
                statements += statement_proofs(side, plan, await self._prover(plan).prove(plan))
            except StoreError as error:
                sound = False
                self.lines.append(
                    Line("statement", f"{where}: {side.value}", False, str(error), "correct the statement")
                )
        for statement in statements:
            self._tell(where, statement)
        trials: list[Trial] = []
        if sound:
            trials = await self._tried(domain, route, plans, wanted)
            statements = await self._with_fields(where, plans, statements, trials)
            if self._wish.explain:
                statements = await self._explained(where, plans, statements, trials)
        return RouteProof(domain, route, tuple(statements), tuple(trials))

    def _prover(self, plan: Plan) -> Prover:
        prover = self._provers[store_of(plan)]
        assert prover is not None  # noqa: S101 - `prove` has looked
        return prover

    def _tell(self, where: str, proof: StatementProof) -> None:
        place = f"{where}: {proof.side.value}.{proof.name}"
        counts = counted(len(proof.parameters), "parameter")
        if proof.store == "postgres":
            counts += f", {counted(len(proof.columns), 'column')}"
        self.lines.append(Line("statement", place, True, counts))
        if proof.unused:
            text = f"given and never used: {', '.join(proof.unused)}"
            self.lines.append(Line("statement", place, True, text, "use it in the shape, or do not select it"))

    async def _tried(
        self, domain: str, route: str, plans: Mapping[Side, Plan], wanted: Sequence[Target]
    ) -> list[Trial]:
        where, pattern = f"{domain}: {route}", parse_route(route)
        parameters = parameters_of(plans.values())
        groups = [[target] for target in wanted] or [targets(pattern, parameters, self._pairs)]
        readers = self._readers(domain, route, plans)
        problem, remedy = "", ""
        if pattern.method not in READS:
            problem, remedy = f"a {pattern.method} is not tried, as its body is not known", "see it at work in serve"
        elif self._trials is None:
            problem, remedy = "the id map cannot be read", "see the line of the id map"
        elif readers is None:
            problem, remedy = "the other side has neither a url nor a reader", "give it one of them"
        elif not all(groups):
            remedy = "give a request that finds something: --target /..."
            problem = f"no value is known of {', '.join(unknown_steps(pattern, parameters, self._pairs))} in the path"
        if problem or readers is None or self._trials is None:
            self.lines.append(Line("verdict", where, True, f"not run: {problem}", remedy))
            return []
        trials = [await self._trials.run(readers, group) for group in groups]
        for trial in trials:
            self.lines += verdict_lines(where, trial, known=not wanted)
        return trials

    def _readers(self, domain: str, route: str, plans: Mapping[Side, Plan]) -> RouteReaders | None:
        facts = self._facts.get((domain, route))
        kinds = {side: store_of(plans[side]) if side in plans else "http" for side in Side}
        found = {side: plan.status for side, plan in plans.items()}
        return None if facts is None else RouteReaders(route, facts, kinds, found)

    async def _with_fields(
        self, where: str, plans: Mapping[Side, Plan], proofs: Sequence[StatementProof], trials: Sequence[Trial]
    ) -> list[StatementProof]:
        """The queries among `proofs` with the fields of what they found; the lines say which of the shape's are none.

        A document may lack a field that others have, so that is no more than a note.
        """
        made = {(proof.side, proof.name): proof for proof in proofs}
        for side, plan in plans.items():
            if not trials or any(faulty is side for faulty, _ in trials[0].faults):
                continue
            try:
                found = await self._prover(plan).fields(plan, trials[0].request, self._identity.lookup)
            except StoreError as error:
                self.lines.append(Line("statement", f"{where}: {side.value}", True, str(error), "see the lines below"))
                continue
            for name, fields in found.items():
                made[side, name], absent = with_fields(made[side, name], plan, fields)
                if absent:
                    text = f"the shape names {', '.join(absent)}, which no document found has"
                    advice = "correct the shape, unless other documents have it"
                    self.lines.append(Line("statement", f"{where}: {side.value}.{name}", True, text, advice))
        return list(made.values())

    async def _explained(
        self, where: str, plans: Mapping[Side, Plan], proofs: Sequence[StatementProof], trials: Sequence[Trial]
    ) -> list[StatementProof]:
        """The statements with their plans, for the request that was tried where there is one."""
        request = trials[0].request if trials else None
        plans_of: dict[tuple[Side, str], tuple[str, ...]] = {}
        for side, plan in plans.items():
            try:
                explained = await self._prover(plan).explain(plan, request, self._identity.lookup)
            except StoreError as error:
                self.lines.append(Line("plan", f"{where}: {side.value}", True, str(error), "see the lines above"))
                continue
            for name, one in explained.items():
                plans_of[side, name] = one.nodes
                self.lines += [
                    Line(
                        "plan",
                        f"{where}: {side.value}.{name}",
                        True,
                        scan.text,
                        "add an index that the statement can use",
                    )
                    for scan in one.scans
                ]
        return [replace(proof, plan=plans_of.get((proof.side, proof.name), ())) for proof in proofs]
