"""One instance of the marketplace: `python -m proxy.demo.marketplace --port P --mongo-url U --pg-dsn D ...`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
from datetime import UTC, datetime

import uvloop
from aiohttp import web

from proxy.demo.bugs import parse_bugs
from proxy.demo.marketplace.app import Options, build
from proxy.demo.marketplace.flags import FLAG_NAMES, parse_flags
from proxy.demo.marketplace.healing import CONTROL_VARIABLE

SHUTDOWN_SECONDS = 2.0


def main() -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0, or 2 when the options cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m proxy.demo.marketplace", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the first line printed names it")
    parser.add_argument("--mongo-url", default=os.environ.get("MONGODB_URI"))
    parser.add_argument("--database", default="marketplace")
    parser.add_argument("--pg-dsn", default=os.environ.get("PG_URL"))
    parser.add_argument("--flags", default="", help="REPO_USER=pg,... over those of the environment")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bugs", default="none", help="all, none, or names with commas")
    args = parser.parse_args()
    if not args.mongo_url or not args.pg_dsn:
        parser.error("--mongo-url and --pg-dsn (or MONGODB_URI and PG_URL) are needed")
    try:
        from_environment = ",".join(f"{name}={os.environ[name]}" for name in sorted(FLAG_NAMES & os.environ.keys()))
        flags = parse_flags(from_environment) | parse_flags(args.flags)
        bugs = parse_bugs(args.bugs)
    except ValueError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    options = Options(
        mongo_url=args.mongo_url,
        database=args.database,
        pg_dsn=args.pg_dsn,
        flags=flags,
        seed=args.seed,
        bugs=bugs,
        clock=lambda: datetime.now(UTC),
        rng=random.Random(args.seed),
        # Not an argument: those can be read by everybody on this machine.
        control=os.environ.get(CONTROL_VARIABLE, ""),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, args.host, args.port))
    return 0


async def _serve(options: Options, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        build(options),
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_line_size=16384,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=512)
        await site.start()
        bound = runner.addresses[0][1]
        sys.stdout.write(json.dumps({"listening": f"http://{host}:{bound}"}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
