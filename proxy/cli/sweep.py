"""`shadowread sweep`: read every entity that the id map knows, instead of waiting for traffic."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from proxy.cli.common import (
    config_option,
    console,
    headers_option,
    json_option,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.cli.root import Failure
from proxy.identity.census import Census
from proxy.ledger import sweeps
from proxy.model import Headers, Verdict
from proxy.opening import opening
from proxy.settings import Settings
from proxy.sweep.headers import read_headers
from proxy.sweep.known import count_known
from proxy.sweep.sweep import Pace, Sweep, Swept, resumable
from proxy.sweep.targets import Left, Target, targets
from proxy.window import KnownEntities, Window

EPILOG = """\b
Reads, through both sides and the verdicts of the proxy, what the routes of DOMAIN declare under `sweep:`. It can be
stopped at any moment; --resume goes on where all before was done. It may run beside `shadowread serve`.
\b
Exit code: 0 all read and all equal, 1 some differ or were not read, 2 it cannot be swept.
\b
Examples:
  shadowread sweep users
  shadowread sweep users --rate 50 --headers token.txt
  shadowread sweep users --resume
"""
EQUAL = frozenset({Verdict.MATCH.value, Verdict.TRANSIENT.value})
STOPPED = 130


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be swept, and how."""

    domain: str
    headers: Headers
    pace: Pace
    resume: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it. `verified` are the distinct entities of each kind that matched in the window."""

    domain: str
    swept: tuple[Swept, ...]
    left: tuple[Left, ...]
    known: tuple[KnownEntities, ...]
    verified: dict[str, int]
    stopped: bool

    @property
    def exit_code(self) -> int:
        if self.stopped:
            return STOPPED
        if not any(one.progress.found for one in self.swept):
            return 2
        whole = all(one.progress.finished and not one.problem for one in self.swept)
        # What both sides miss or refuse is equal and was not read.
        read = all(one.progress.found == _equal(one) == one.progress.done for one in self.swept)
        return 0 if whole and read and not any(one.missing for one in self.left) else 1

    def as_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "stopped": self.stopped,
            "routes": [
                {
                    "route": one.target.route,
                    "entity": one.target.entity,
                    "window": one.progress.window,
                    "read": one.progress.done,
                    "found": one.progress.found,
                    "equal": _equal(one),
                    "ended": dict(one.progress.ended),
                    "resumed": one.resumed,
                    "finished": one.progress.finished,
                    "problem": one.problem or None,
                }
                for one in self.swept
            ],
            "entities": {
                one.entity: {"verified": self.verified.get(one.entity, 0), "known": one.count, "exact": one.exact}
                for one in self.known
            },
            "not_swept": [{"route": one.route, "why": one.why} for one in self.left],
        }


@click.command(epilog=EPILOG)
@click.argument("domain")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Reads a second at most.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=8, show_default=True, help="Reads at once.")
@click.option("--resume", is_flag=True, help="Go on where the last sweep of this window ended.")
@headers_option()
@config_option
@json_option
def sweep(
    *,
    domain: str,
    rate: float | None,
    concurrency: int,
    resume: bool,
    headers: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Read every entity of DOMAIN that the id map knows through the domain's routes."""
    settings = settings_of(config)
    patience = max(1.0, min(settings.shadow.breaker.open_for, 10.0))
    wish = Wish(domain, read_headers(headers) if headers else (), Pace(rate, concurrency, patience), resume)
    summary = asyncio.run(_run(settings, wish))
    if as_json:
        print_json(summary.as_json())
    else:
        _show(console(), summary)
    sys.exit(summary.exit_code)


async def _run(settings: Settings, wish: Wish) -> Summary:
    if wish.domain not in settings.domains:
        raise Failure(f"{printable(wish.domain)} is no domain; there are {', '.join(settings.domains)}")
    if settings.domains[wish.domain].stage == "off":
        raise Failure(f"{wish.domain} is off: nothing of it is verified")
    made, left = targets(settings, wish.domain)
    if not made:
        said = "".join(f"\n  {one.route}: {one.why}" for one in left)
        raise Failure(f"no route of {wish.domain} can be swept:{said}")
    async with opening(settings) as opened:
        if opened.verifier is None:
            raise Failure("no route has a shadow: there is nothing to hold the primary to")
        census = Census.of(settings, opened.chance.now)
        known = await count_known(census, opened.ledger) if settings.ids.sources else []
        made, strange = _known_kinds(made, known)
        if not made:
            raise Failure("\n".join(one.why for one in strange))
        left += strange
        with ExitStack() as stack:
            bars = stack.enter_context(_Bars(known))
            sweeping = Sweep(
                opened.verifier,
                opened.ledger,
                census,
                headers=wish.headers,
                pace=wish.pace,
                chance=opened.chance,
                told=bars.told,
            )
            stopping = _stop_on_signals(sweeping, stack)
            window = opened.ledger.window(wish.domain)
            kept = await opened.ledger.ask(lambda connection: sweeps.progress(connection, wish.domain))
            before = {one.route: one for one in kept} if wish.resume else {}
            swept = []
            for target in made:
                bars.begin(target)
                known_place = resumable(before, target, census, window.id if window else "")
                swept.append(await sweeping.route(wish.domain, target, known_place))
                if stopping.is_set():
                    break
        await opened.ledger.flush()
        swept = [held_to(opened.ledger.window(wish.domain), one) for one in swept]
        counts = (await opened.ledger.domains()).get(wish.domain)
        kinds = {target.entity for target in made}
        return Summary(
            wish.domain,
            tuple(swept),
            tuple(left),
            tuple(one for one in known if one.entity in kinds),
            dict(counts.entity_counts) if counts else {},
            stopping.is_set(),
        )


def _known_kinds(made: Sequence[Target], known: Sequence[KnownEntities]) -> tuple[list[Target], list[Left]]:
    """The routes whose entity the id map knows, and the others. An estimate lacks rare kinds and settles nothing."""
    kinds = [one.entity for one in known]
    if not all(one.exact for one in known):
        return list(made), []
    strange = [one for one in made if one.entity is not None and one.entity not in kinds]
    listed = ", ".join(kinds) or "none at all"
    return (
        [one for one in made if one not in strange],
        [Left(one.route, f"the id map knows no entity {one.entity}; it knows {listed}", True) for one in strange],
    )


def held_to(window: Window | None, one: Swept) -> Swept:
    """A route whose evidence belongs to an earlier window than that of the routes after it."""
    if one.problem or window is None or one.progress.window == window.id:
        return one
    return replace(one, problem=f"a new evidence window began meanwhile ({window.why}): sweep again")


def _stop_on_signals(sweeping: Sweep, stack: ExitStack) -> asyncio.Event:
    """The first SIGINT or SIGTERM ends it in order, after the reads that are under way."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        sweeping.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
        stack.callback(loop.remove_signal_handler, number)
    return stopping


class _Bars:
    """A progress bar for each route, on standard error, and only where that is a terminal."""

    def __init__(self, known: Sequence[KnownEntities]) -> None:
        self._known = {one.entity: one.count for one in known}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, target: Target) -> None:
        total = self._known.get(target.entity) if target.entity and target.pages is None else None
        self._tasks[target.route] = self._progress.add_task(target.route, total=total)

    def told(self, reached: sweeps.Progress) -> None:
        self._progress.update(self._tasks[reached.route], completed=reached.done)


def _equal(one: Swept) -> int:
    return sum(n for verdict, n in one.progress.ended.items() if verdict in EQUAL)


def _show(out: Console, summary: Summary) -> None:
    rows = [
        [
            one.target.route,
            one.progress.done,
            one.progress.found,
            _equal(one),
            ", ".join(f"{name} {n}" for name, n in sorted(one.progress.ended.items()) if name not in EQUAL),
            one.problem or ("finished" if one.progress.finished else "not finished"),
        ]
        for one in summary.swept
    ]
    out.print(table(("route", "read", "found", "equal", "other", ""), rows, right=("read", "found", "equal")))
    for one in summary.known:
        verified, about = summary.verified.get(one.entity, 0), "" if one.exact else "about "
        share = f", {min(1.0, verified / one.count):.1%}" if one.count else ""
        out.print(printable(f"{one.entity}: {verified} of {about}{one.count} verified{share}"))
    for left in summary.left:
        out.print(printable(f"not swept: {left.route}: {left.why}"))
    if summary.stopped:
        out.print("stopped; --resume goes on from here")
    elif summary.exit_code == 2:
        out.print("nothing was found on any route: are the credentials (--headers) right?")
