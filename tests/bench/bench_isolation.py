"""What a client feels of verification and of its troubles: `python -m tests.bench.bench_isolation`. As root on Linux.

A paced load of 10 KB documents goes through the proxy in turns: verification off and on, on with 1 MB documents beside
it, with a dead and a hanging twin, a Postgres that hangs, a ledger on a full disk; and straight to the backend. Latency
counts from when a request was due. Then on and off at full speed (needs wrk). A target that is missed is said and is no
failure; exchanges that were not verified, books that do not add up, wrong answers and a load that was late are.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import orjson

from proxy.demo.processes import ProcessError
from tests.bench.isolation_arms import ARMS, NONE, OFF, ON, PASSED, STRAIGHT, VERIFIED, Arm
from tests.bench.isolation_rounds import Pace, Rounds
from tests.bench.isolation_site import Site
from tests.bench.isolation_tables import Results, as_json, as_markdown
from tests.bench.proxies import BenchError

QUICK = Pace(rate=500, pages=4, seconds=3.0, warmup=1.0)
NO_WRK = "wrk is not installed (Debian: apt-get install wrk)"


def progress(text: str) -> None:
    """Show what is being done on one line, where somebody may be looking."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def measure(
    arms: list[Arm], pace: Pace, passes: int, full_speed: int, folder: Path, *, ahead: bool
) -> tuple[Results, list[str]]:
    """All rounds; `full_speed` is how long one at full speed takes in seconds, 0 for none. And what was wrong."""
    saturating = full_speed > 0 and which("wrk") is not None
    names = {arm.proxy for arm in arms if arm.proxy != STRAIGHT} | ({OFF, ON} if saturating else set())
    with Site.opened(sorted(names), progress, ahead=ahead) as site:
        results = Results(pace, site.urgent, ahead, left_out=dict(site.left_out))
        if full_speed > 0 and not saturating:
            results.left_out["full speed"] = NO_WRK
        rounds = Rounds(site, pace, folder)
        present = [arm for arm in arms if arm.proxy == STRAIGHT or arm.proxy in site.proxies]
        order = random.Random(11)
        for number in range(passes + 1):
            # In another order each time: what one leaves behind must not always meet the same other one.
            for arm in order.sample(present, len(present)):
                progress(f"pass {number} of {passes}: {arm.name}")
                found = rounds.run(arm)
                if number > 0:  # the first one warms up
                    results.rounds.setdefault(arm, []).append(found)
            for name in (OFF, ON) if saturating else ():
                progress(f"pass {number} of {passes}: full speed, verification {name}")
                one = rounds.saturate(name, full_speed)
                if number > 0:
                    results.saturated.setdefault(name, []).append(one)
    faults = [f"{what} ({count} times)" for what, count in rounds.faults.items()]
    return results, faults + results.faults()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_isolation", description=__doc__)
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=6.0, help="of one round, its warm-up among them")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds at the start of a round that are not timed")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--pages", type=float, default=4.0, help="documents of 1 MB a second, where there are any")
    parser.add_argument("--full-speed", type=int, default=5, help="seconds of one round at full speed; 0 for none")
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[], help="contenders whose name has one of these")
    parser.add_argument("--ahead", action="store_true", help="let the proxies go before all else, on a busy machine")
    parser.add_argument("--quick", action="store_true", help="two short passes, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds there, too")
    args = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("This benchmark needs Linux: its timers, its scheduler and its mounts.")
    pace = QUICK if args.quick else Pace(args.rate, args.pages, args.seconds, args.warmup)
    always = (NONE, PASSED, VERIFIED)
    arms = [arm for arm in ARMS if not args.only or arm in always or any(word in arm.name for word in args.only)]
    passes, full_speed = (2, min(args.full_speed, 2)) if args.quick else (args.passes, args.full_speed)
    try:
        with TemporaryDirectory() as folder:
            results, faults = measure(arms, pace, passes, full_speed, Path(folder), ahead=args.ahead)
    except (BenchError, ProcessError) as error:
        progress("")
        raise SystemExit(f"Nothing was measured: {error}") from None
    progress("")
    sys.stdout.write(f"{as_markdown(results)}\n")
    if args.json is not None:
        args.json.write_bytes(orjson.dumps(as_json(results) | {"faults": faults}, option=orjson.OPT_INDENT_2))
    if faults:
        raise SystemExit("These figures do not count:\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
