"""What a proxy can serve, and what it costs: `python -m tests.bench.bench_throughput` (`--help` for what to leave out).

The proxy has one core, the backends and wrk with 32 connections have the other. Rounds are interleaved and medians
compared, for figures drift from minute to minute: only ratios mean something. What is said to be verified was: a round
in which less than 99 % of the requests ended as a match does not count, and the run fails. What cannot verify as much
as it serves is loaded as fast as it can verify. Needs wrk, nginx and mitmproxy; brings what is not there, or says what
was left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.demo.processes import ProcessError, Supervisor
from tests.bench.contenders import Backend, Contender, Server, Servers, chosen
from tests.bench.installing import Program, UnavailableError, debian
from tests.bench.proxies import LOAD_CORE, BenchError
from tests.bench.rounds import Range, Track
from tests.bench.throughput import Results, as_json, as_markdown
from tests.bench.wrk import Wrk

SIZES = (1, 10, 100)


def started(servers: Servers, contenders: Sequence[Contender], left_out: dict[str, str]) -> dict[str, Server]:
    """Every server that the contenders need; why one is missing goes to `left_out`, by contender."""
    running: dict[str, Server] = {}
    for name in dict.fromkeys(contender.server for contender in contenders):
        progress(f"starting {name}")
        try:
            running[name] = servers.start(name)
        except UnavailableError as error:
            left_out |= {each.title: str(error) for each in contenders if each.server == name}
    return running


def measure(tracks: Sequence[Track], rounds: int, seconds: int, warm: int) -> None:
    """Interleaved: each round has every contender once."""
    for track in tracks:
        progress(f"{track.kilobytes} KB: {track.contender.key}, warming up")
        track.warm(warm)
    for number in range(rounds):
        for track in tracks:
            progress(f"{track.kilobytes} KB: round {number + 1} of {rounds}, {track.contender.key}")
            track.measure(seconds)


def run(arguments: argparse.Namespace, program: Program) -> Results:
    contenders, left_out = chosen(arguments.only), dict[str, str]()
    os.sched_setaffinity(0, {LOAD_CORE})  # what is done here is no proxy's
    with Supervisor() as owner:
        sides, pages = Backend(owner), Range()
        wrk = Wrk(program, owner.folder)
        running = started(Servers(owner, sides), contenders, left_out)
        results = Results(arguments.sizes, [], left_out)
        for size in arguments.sizes:
            tracks = [
                Track(each, size, running[each.server], sides, wrk, pages)
                for each in contenders
                if each.server in running
            ]
            measure(tracks, arguments.rounds, arguments.seconds, arguments.warm)
            results.measured.extend(track.measured for track in tracks)
    progress("")
    return results


def progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def numbers(text: str) -> list[int]:
    found = [int(part) for part in text.split(",")]
    if unknown := set(found) - set(SIZES):
        raise argparse.ArgumentTypeError(f"there are documents of {SIZES} KB, not of {sorted(unknown)}")
    return found


def options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_throughput", description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="contenders, as ours,bare")
    parser.add_argument("--sizes", type=numbers, default=list(SIZES), help="in KB (default: 1,10,100)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each round of each contender")
    parser.add_argument("--warm", type=int, default=2, help="seconds of load before, and of each search for a pace")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE as well")
    arguments = parser.parse_args(given)
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.warm = 1, 1, 1
    return arguments


def main(given: Sequence[str] | None = None) -> int:
    arguments = options(given)
    if len(os.sched_getaffinity(0)) < 2:
        return failed("needs two processors: one for the proxy, one for load and backends")
    try:
        program = debian("wrk", "wrk", "libluajit-5.1-2")
    except UnavailableError as error:
        sys.stdout.write(f"Throughput was not measured: {error}.\n")
        return 0
    try:
        results = run(arguments, program)
    except (BenchError, ProcessError, ValueError) as error:
        progress("")
        return failed(str(error))
    sys.stdout.write(as_markdown(results) + "\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(as_json(results), indent=1))
    return 0


def failed(why: str) -> int:
    sys.stderr.write(f"bench_throughput: {why}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
