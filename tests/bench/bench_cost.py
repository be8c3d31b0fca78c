"""Where the time of one request goes: `python -m tests.bench.bench_cost`. Needs wrk.

Processor time per request is measured without a profiler; cProfile then says which share each step has of it. The
profiler makes small functions look dearer than they are: the steps are to be read as an order, not to a microsecond.
What the ledger costs comes out too high, since the profiler knows no greenlets: what runs meanwhile counts as its own.
"""

from __future__ import annotations

import argparse
import json
import pstats
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.demo.processes import Supervisor
from tests.bench.backend import TOLD, write_ids
from tests.bench.installing import UnavailableError, debian
from tests.bench.proxies import LOAD_CORE, BenchError, config_of, python, serve, spent, told
from tests.bench.wrk import Load, Wrk

STEPS: Mapping[str, tuple[str, ...]] = {
    "aiohttp's server: parsing, the request's object and task": (
        "aiohttp/", "yarl/", "multidict/", "proxy/edge/protocol.py",
    ),
    "what may go on: fields, targets, X-Forwarded": (
        "proxy/edge/fields.py", "proxy/edge/forwarded.py", "proxy/edge/server.py",
    ),
    "asking the primary and the shadow: heads, connections, sending": (
        "proxy/readers/client.py", "proxy/readers/client_wire.py", "proxy/readers/client_connection.py:begin",
        "proxy/readers/http.py",
    ),
    "their answers: parsing, gathering": ("proxy/readers/client_",),
    "writing the answer to the client": (
        "proxy/edge/relay.py", "proxy/edge/protocol.py:write", "proxy/edge/protocol.py:writelines",
    ),
    "telling verification: taps, the client's answer": ("proxy/edge/guard.py", "proxy/verify/exchange.py"),
    "route, plan, room": (
        "proxy/settings/", "proxy/verify/plan.py", "proxy/verify/headroom.py", "proxy/verify/breaker.py",
        "proxy/verify/verifier.py:open", "proxy/verify/verifier.py:_room", "proxy/verify/verifier.py:_exchange",
        "proxy/verify/verifier.py:<setcomp>", "proxy/verify/requests.py", "proxy/telemetry/spans.py",
        "proxy/telemetry/context.py", "proxy/verify/entity.py",
    ),
    "both answers together, the pair seen equal before": (
        "proxy/verify/answers.py", "proxy/verify/way.py", "proxy/verify/comparing.py", "proxy/verify/memo.py",
        "proxy/verify/judge.py", "proxy/verify/reading.py", "proxy/verify/places.py", "proxy/verify/verifier.py",
        "proxy/verify/examine.py",
    ),
    "ids and comparison": ("comparators/", "proxy/identity/", "proxy/verify/work"),
    "verdict, counts, figures, the tail": (
        "proxy/verify/record.py", "proxy/ledger/tally.py", "proxy/ledger/timing.py", "proxy/ledger/details.py",
        "proxy/ledger/ledger.py:begin", "proxy/ledger/ledger.py:record", "proxy/ledger/moments.py", "proxy/window.py",
        "proxy/telemetry/", "proxy/tail.py", "proxy/verify/recent.py", "proxy/verify/pulse.py", "proxy/opening.py",
    ),
    "writing the ledger (twice a second)": ("proxy/ledger/", "sqlalchemy/", "aiosqlite/"),
}  # fmt: skip
"""Parts of a file's path, or a path and a function; the longest that fits counts."""
REST = "the rest: the event loop, reading from sockets"


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time of one request, and what each step has of them."""

    total: float
    steps: Mapping[str, float]


def step_of(file: str, function: str) -> str:
    """The step that a function of a file belongs to."""
    found, longest = REST, 0
    for step, parts in STEPS.items():
        for part in parts:
            place, _, name = part.partition(":")
            length = len(part)
            if place in file and (not name or name == function) and length > longest:
                found, longest = step, length
    return found


def shares(profile: Path) -> dict[str, float]:
    """The share of each step in the time that was profiled."""
    times: dict[str, float] = dict.fromkeys([*STEPS, REST], 0.0)
    for (file, _, function), (_, _, own, _, _) in pstats.Stats(str(profile)).stats.items():  # type: ignore[attr-defined]
        times[step_of(file, function)] += own
    whole = sum(times.values())
    return {step: own / whole for step, own in times.items()}


class Bench:
    def __init__(self, owner: Supervisor, wrk: Wrk, seconds: int) -> None:
        self._owner = owner
        self._wrk = wrk
        self._seconds = seconds
        backend = python(owner, "backend", LOAD_CORE, "tests.bench.backend")
        primary, twin = told(owner, backend, TOLD)
        ids = owner.folder / "ids.json"
        write_ids(ids)
        self._config = config_of(f"http://127.0.0.1:{primary}", f"http://127.0.0.1:{twin}", ids, limits={"busy": 1})

    def cost(self, name: str, load: Load, **more: Any) -> Cost:
        config = {**self._config, **more}
        plain = serve(self._owner, name, config)
        self._wrk.run(plain.port, load, 1)
        before = spent(plain.child.pid)
        done = self._wrk.run(plain.port, load, self._seconds)
        plain.settled()
        total = (spent(plain.child.pid) - before) / done.requests * 1e6
        plain.child.stop()
        profile = self._owner.folder / f"{name}.prof"
        profiled = serve(self._owner, f"{name} profiled", config, program=("tests.bench.profiled", str(profile)))
        self._wrk.run(profiled.port, load, self._seconds)
        profiled.child.stop()
        return Cost(total, {step: share * total for step, share in shares(profile).items()})


def table(costs: Mapping[str, Cost]) -> str:
    lines = [f"| microseconds of processor time | {' | '.join(costs)} |", "|---|" + "---:|" * len(costs)]
    lines += [
        f"| {step} | {' | '.join(f'{cost.steps[step]:.1f}' for cost in costs.values())} |" for step in (*STEPS, REST)
    ]
    lines.append(f"| **together** | {' | '.join(f'**{cost.total:.0f}**' for cost in costs.values())} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seconds for each instead of eight")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args()
    try:
        wrk = debian("wrk", "wrk", "libluajit-5.1-2")
    except UnavailableError as error:
        sys.stdout.write(f"left out: {error}\n")
        return
    seconds = 2 if arguments.quick else 8
    with tempfile.TemporaryDirectory(prefix="shadowread-cost-") as folder, Supervisor(Path(folder)) as owner:
        bench = Bench(owner, Wrk(wrk, Path(folder)), seconds)
        off = {"domains": {"listings": {"stage": "off", "routes": ["GET /api/listings"]}}}
        costs = {
            "passed through, 1 KB": bench.cost("off", Load(1), **off),
            "verified, 1 KB, seen before": bench.cost("same", Load(1)),
            "verified, 1 KB, new": bench.cost("new", Load(1, new=True)),
            "verified, 10 KB, new": bench.cost("new 10", Load(10, new=True)),
        }
    if arguments.json:
        told_ = {name: {"total": cost.total, "steps": cost.steps} for name, cost in costs.items()}
        arguments.json.write_text(json.dumps(told_, indent=1))
    sys.stdout.write(table(costs) + "\n")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench_cost: {error}")
