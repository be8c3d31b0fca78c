"""Runs the demo from the first process to the last line of its report, and ends in order whatever happens."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from rich.console import Console
from rich.live import Live

from proxy.demo import report
from proxy.demo.heal import Healing
from proxy.demo.parts import Addresses, DemoOptions, Parts
from proxy.demo.processes import Child, ProcessError, Supervisor
from proxy.errors import ShadowreadError

DRAIN_SECONDS = 60.0
MOST_FINDINGS = 1000
REDRAW_SECONDS = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Screen:
    """Where the demo writes: results to `out`, everything else to `err`. `talkative` says what is being done."""

    out: Console
    err: Console
    as_json: bool = False
    talkative: bool = False

    def progress(self, text: str) -> None:
        if self.talkative or self.err.is_terminal:
            self.err.print(text, style="dim", highlight=False)

    def live(self) -> Live | None:
        """A display that is redrawn in place, on a terminal only."""
        return Live(console=self.err, auto_refresh=False, transient=True) if self.err.is_terminal else None


@dataclass
class Ending:
    """Why a run is to end early: a signal, or a vital part that died (None: the janitor)."""

    task: asyncio.Task[Any]
    open_ended: bool
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    number: signal.Signals | None = None
    death: str | None = None
    traffic_runs: bool = False

    def on_signal(self, number: signal.Signals) -> None:
        """Ctrl-C is how an open-ended run ends in order; at any other time, or the second time, it breaks off."""
        if self.open_ended and self.traffic_runs and not self.asked.is_set():
            self.asked.set()
            return
        self.number = number
        self.task.cancel()

    def on_death(self, child: Child | None) -> None:
        if self.death is None:
            self.death = "the janitor process died" if child is None else child.obituary()
            self.task.cancel()


def run_demo(options: DemoOptions, screen: Screen) -> int:
    """Run the demo; returns the exit status: 0 when it ran through, 128 + the signal when it was broken off.

    Raises ShadowreadError when a part could not be started or died. Nothing is left behind in any case but `keep`.
    """
    if options.keep is not None and (options.keep / "ledger.db").exists():
        raise ShadowreadError(f"{options.keep} already holds the ledger of another run; name a new folder")
    logs = None if options.keep is None else options.keep / "logs"
    return asyncio.run(supervised(options, screen, Supervisor(logs)))


async def supervised(options: DemoOptions, screen: Screen, supervisor: Supervisor) -> int:
    """One run under signal handlers; ends every process and removes the folder at the end."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we run in a coroutine
    ending = Ending(task, options.duration is None)
    for number in SIGNALS:
        loop.add_signal_handler(number, ending.on_signal, number)

    def tell(child: Child | None) -> None:
        loop.call_soon_threadsafe(ending.on_death, child)

    supervisor.on_death(tell)
    try:
        await through(options, screen, Parts(options, supervisor, screen.progress), ending)
    except asyncio.CancelledError:
        if ending.death is not None:
            raise ProcessError(f"the demo ended because a part of it died: {ending.death}") from None
        if ending.number is None:
            raise
        screen.progress(f"broken off by {ending.number.name}")
        return 128 + ending.number
    finally:
        supervisor.close()
    return 0


async def through(options: DemoOptions, screen: Screen, parts: Parts, ending: Ending) -> None:
    """Start, let traffic run, wait until the proxy is done with it, report."""
    addresses = await parts.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api = Api(session, addresses.admin)
        traffic = parts.start_traffic(addresses)
        ending.traffic_runs = True
        began = time.monotonic()
        announce(options, screen, addresses)
        healing = Healing(
            options.heals,
            addresses.backends,
            parts.control,
            session=session,
            domain=api.domain,
            clock=lambda: time.monotonic() - began,
            tell=screen.progress,
        )
        await while_traffic_runs(options, screen, api, traffic, ending, healing)
        screen.progress("waiting until the last differences have settled")
        summary = await parts.stop_traffic(traffic)
        await drained(api)
        await healing.tick()
        domains, findings = await api.domains(), await api.findings()
        bugs = [] if options.healthy else report.planted(findings, domains["domains"], direct=options.direct)
        if screen.as_json:
            screen.out.file.write(json.dumps(report.document(domains, bugs, healing.cases)) + "\n")
            screen.out.file.flush()
        else:
            screen.out.print(report.final(domains["domains"], bugs, healing.cases))
            screen.out.print(hint(options, addresses), soft_wrap=True, highlight=False, markup=False)
        if failed := report.client_failures(summary):
            screen.err.print(f"clients saw {failed} failed requests", style="bold red")
    await parts.stop_proxy()


def announce(options: DemoOptions, screen: Screen, addresses: Addresses) -> None:
    """Say where things listen, to whom it may be of use."""
    screen.progress(f"proxy {addresses.edge}, dashboard {addresses.admin}, primary {addresses.primary}")
    if options.duration is None:
        screen.err.print(
            f"running until Ctrl-C; look at {addresses.admin} with a browser; the proxy is {addresses.edge}\n"
            f"or, in another shell: {addresses.commands()}; shadowread findings",
            highlight=False,
            soft_wrap=True,
        )


def hint(options: DemoOptions, addresses: Addresses) -> str:
    """How to look at a trace after the end."""
    if options.keep is not None:
        return f"to look closer: {addresses.commands()}; shadowread trace ID"
    return "the ledger ended with this run; keep it with --keep DIR to look at the traces afterwards"


async def while_traffic_runs(
    options: DemoOptions, screen: Screen, api: Api, traffic: Child, ending: Ending, healing: Healing
) -> None:
    """Wait for the end of traffic or for Ctrl-C; heal what is due and redraw the table meanwhile."""
    until = None if options.duration is None else time.monotonic() + options.duration + 30
    live = screen.live()
    context: AbstractContextManager[object] = nullcontext() if live is None else live
    with context:
        while not traffic.exited.is_set() and not ending.asked.is_set():
            if until is not None and time.monotonic() > until:
                raise ProcessError(f"traffic did not end in time: {traffic.obituary()}")
            await healing.tick()
            if live is not None:
                live.update(report.domains_table((await api.domains())["domains"]), refresh=True)
            await first_of(ending.asked, traffic.exited.is_set, REDRAW_SECONDS)


async def first_of(event: asyncio.Event, condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the event is set, the condition holds, or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not event.is_set() and not condition() and time.monotonic() < deadline:
        try:
            async with asyncio.timeout(0.05):
                await event.wait()
        except TimeoutError:
            continue


async def drained(api: Api) -> None:
    """Wait until the proxy has no exchange under way in any domain, neither settling nor waiting to be written."""
    deadline = time.monotonic() + DRAIN_SECONDS
    idle = 0
    # Twice, since the last response may have reached its client before its exchange was handed on.
    while idle < 2:
        idle = idle + 1 if await api.under_way() == 0 else 0
        if time.monotonic() > deadline:
            raise ProcessError(f"the proxy was still busy {DRAIN_SECONDS:.0f} s after the end of traffic")
        await asyncio.sleep(0.25)


class Api:
    """The admin API of the running proxy."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def get(self, path: str) -> Any:
        try:
            async with self._session.get(self._base + path) as response:
                if response.status != 200:
                    raise ProcessError(f"the admin API answered {response.status} to {path}")
                return await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProcessError(f"the admin API did not answer {path}: {error}") from error

    async def domains(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.get("/api/v1/domains")
        return found

    async def domain(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/api/v1/domains/{name}")
        return found

    async def under_way(self) -> int:
        """How many exchanges of all domains have no verdict yet."""
        names = [domain["name"] for domain in (await self.domains())["domains"]]
        return sum([(await self.domain(name))["under_way"] for name in names])

    async def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(f"/api/v1/findings?limit={MOST_FINDINGS}"))["findings"]
        return found
