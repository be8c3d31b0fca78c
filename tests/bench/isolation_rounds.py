"""The rounds of the isolation benchmark, each checked against the proxy's own books before its figures count."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.isolation_arms import OFF, ON, STRAIGHT, Arm
from tests.bench.isolation_documents import COLD, COLD_EVERY, LISTINGS, PAGES, WARM
from tests.bench.isolation_figures import Round
from tests.bench.isolation_load import Load, Result
from tests.bench.isolation_site import Site
from tests.bench.proxies import LOAD_CORE, Counts, Serving, spent

CONNECTIONS = 32
SETTLE_SECONDS = 120.0
BOOKS_SECONDS = 30.0
"""How long the ledger may need for what the proxy's own counters tell at once."""
_PER_DOMAIN = re.compile(r'^shadowread_exchanges_total\{domain="([^"]+)".*verdict="([^"]+)".*\} (\S+)$', re.MULTILINE)
_DONE = re.compile(r"(\d+) requests in")
_RATE = re.compile(r"Requests/sec: +(\S+)")

FULL_SPEED = """
local serial = 0
function init(args) serial = tonumber(args[1]) end
function request()
  serial = serial + 1
  local number = %(warm)d + serial %% %(warms)d
  if serial %% %(every)d == 0 then number = %(cold)d + math.floor(serial / %(every)d) %% %(colds)d end
  return wrk.format("GET", string.format("/api/%(kind)s/%%08x?serial=%%010d", number, serial))
end
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a round is paced: requests a second, of which documents of 1 MB, and for how long in seconds."""

    rate: float
    pages: float
    seconds: float
    warmup: float


@dataclass(frozen=True, slots=True)
class Saturated:
    """A round at full speed. `busy` is the share of its core that the proxy used."""

    rate: float
    busy: float
    verdicts: Mapping[str, int]


class Rounds:
    """Runs rounds and keeps what was wrong with any of them in `faults`."""

    def __init__(self, site: Site, pace: Pace, folder: Path) -> None:
        self._site = site
        self._pace = pace
        self._serial = 0
        self._script = folder / "full_speed.lua"
        warm, cold = WARM[LISTINGS], COLD[LISTINGS]
        figures = {"warm": warm[0], "warms": len(warm), "cold": cold[0], "colds": len(cold), "every": COLD_EVERY}
        self._script.write_text(FULL_SPEED % {**figures, "kind": LISTINGS})
        self.faults: Counter[str] = Counter()

    def run(self, arm: Arm) -> Round:
        """One round at the pace. What is wrong with it goes to `faults`."""
        if arm.proxy == STRAIGHT:
            result, _ = self._load(arm, self._site.primary_port)
            return self._round(arm, result, {}, None)
        with self._site.awake(arm.proxy) as serving:
            before = serving.settled(SETTLE_SECONDS)
            with self._site.fault(arm.fault):
                used, began = spent(serving.child.pid), time.monotonic()
                result, pages = self._load(arm, serving.port)
                busy = (spent(serving.child.pid) - used) / (time.monotonic() - began)
            after = serving.settled(SETTLE_SECONDS)
            verdicts = _grown(before, after, arm.kind)
            if arm.verdicts:
                self._check(arm, result.sent, verdicts)
                self._keep_books(arm.name, serving)
            if arm.verdicts and pages is not None:
                self._check(arm, pages.sent, _grown(before, after, PAGES))
        return self._round(arm, result, verdicts, busy)

    def saturate(self, name: str, seconds: int) -> Saturated:
        """As many requests as one core of wrk can make, through the proxy `on` or `off`."""
        with self._site.awake(name) as serving, self._site.at_ease():
            before = serving.settled(SETTLE_SECONDS)
            used, began = spent(serving.child.pid), time.monotonic()
            command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
            command += ["-s", str(self._script), serving.url, "--", str(self._serial)]
            out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            busy = (spent(serving.child.pid) - used) / (time.monotonic() - began)
            after = serving.settled(SETTLE_SECONDS)
            done, rate = _DONE.search(out), _RATE.search(out)
            where = f"full speed, verification {name}"
            if done is None or rate is None or "Non-2xx" in out or "Socket errors" in out:
                self.faults[f"{where}: wrk says {out[-200:]!r}"] += 1
                return Saturated(0.0, busy, {})
            self._serial += int(done[1]) + CONNECTIONS
            verdicts = after.since(before)
            # At the end wrk hangs up on what it still waits for.
            if name == ON and not 0 <= sum(verdicts.values()) - int(done[1]) <= CONNECTIONS:
                self.faults[
                    f"{where}: {done[1]} requests were answered, {sum(verdicts.values())} verdicts counted"
                ] += 1
            if name == ON:
                self._keep_books(where, serving)
            if name == OFF and verdicts:
                self.faults[f"{where}: {verdicts} were counted"] += 1
            return Saturated(float(rate[1]), busy, verdicts)

    def _load(self, arm: Arm, port: int) -> tuple[Result, Result | None]:
        pace, pages = self._pace, None
        if arm.pages:
            self._site.pages.start(Load(port, PAGES, self._serial, pace.pages, pace.seconds, connections=4))
            self._serial += round(pace.pages * pace.seconds)
        self._site.load.start(
            Load(port, arm.kind, self._serial, pace.rate, pace.seconds, pace.warmup, connections=CONNECTIONS)
        )
        self._serial += round(pace.rate * pace.seconds)
        result = self._site.load.result()
        if arm.pages:
            pages = self._site.pages.result()
            self._failures(f"{arm.name}, 1 MB", pages)
        return result, pages

    def _round(self, arm: Arm, result: Result, verdicts: Mapping[str, int], busy: float | None) -> Round:
        self._failures(arm.name, result)
        latencies, lags = ([one / 1e3 for one in sorted(some)] for some in (result.latencies, result.lags))
        return Round(latencies, lags, verdicts, busy)

    def _failures(self, where: str, result: Result) -> None:
        for why, count in result.failures.items():
            self.faults[f"{where}: {why}"] += count

    def _check(self, arm: Arm, sent: int, verdicts: Mapping[str, int]) -> None:
        total = sum(verdicts.values())
        if total != sent:
            self.faults[f"{arm.name}: {sent} requests were sent, {total} verdicts counted"] += 1
        if sum(verdicts.get(verdict, 0) for verdict in arm.verdicts) < arm.share * total:
            wanted = " or ".join(arm.verdicts)
            self.faults[f"{arm.name}: fewer than {arm.share:.0%} ended as {wanted}: {dict(verdicts)}"] += 1

    def _keep_books(self, where: str, serving: Serving) -> None:
        """All that was decided must come to stand in the ledger's books, and they must add up."""
        decided = serving.counts().decided
        deadline = time.monotonic() + BOOKS_SECONDS
        while True:
            observed, verdicts = serving.books()
            if observed == decided == sum(verdicts.values()):
                return
            if time.monotonic() > deadline:
                told = f"{decided} decided, {observed} observed, {sum(verdicts.values())} verdicts"
                self.faults[f"{where}: the books do not add up: {told}"] += 1
                return
            time.sleep(0.1)


def _grown(before: Counts, after: Counts, domain: str) -> dict[str, int]:
    """Verdicts of one domain between two looks, without those that there were none of."""
    grown: Counter[str] = Counter()
    for counts, sign in ((before, -1), (after, 1)):
        for of, verdict, value in _PER_DOMAIN.findall(counts.metrics):
            if of == domain:
                grown[verdict] += sign * int(float(value))
    return {verdict: count for verdict, count in grown.items() if count}
