"""`shadowread demo`: the whole thing on this machine, in a minute."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
from rich.console import Console

from proxy.demo.heal import parse_heals
from proxy.demo.parts import DemoOptions
from proxy.demo.run import Screen, run_demo

EPILOG = """\b
Examples:
  shadowread demo                            until Ctrl-C, with a live table
  shadowread demo --duration 45              three quarters of a minute, then the report
  shadowread demo --duration 45 --json       the report as JSON on standard output
  shadowread demo --duration 45 --healthy    no bugs planted: all domains at zero
  shadowread demo --duration 45 --direct     no Postgres twin: SQL is held against the MongoDB backend
  shadowread demo --duration 60 --heal shop_settings   repairs it after 20 s; its gate opens step by step
  shadowread demo --duration 45 --keep run   keeps run/ledger.db and run/logs
"""


@click.command(epilog=EPILOG)
@click.option(
    "--duration",
    type=click.FloatRange(min=1, max=86400),
    metavar="S",
    help="Seconds of traffic. Default: until Ctrl-C.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**31),
    default=1,
    show_default=True,
    help="Seed of data and traffic.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the domains and the planted bugs.")
@click.option("--healthy", is_flag=True, help="Plant no bugs: every domain should stay at zero diffs.")
@click.option(
    "--direct",
    is_flag=True,
    help="Start no Postgres twin: verify by SQL, and read MongoDB where there is no backend (config/direct.yaml).",
)
@click.option(
    "--heal",
    "heals",
    multiple=True,
    metavar="DOMAIN[@S]",
    help="Repair the planted bugs of a domain S seconds after traffic began (default: a third of the duration), or "
    "when they were first seen after that.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the ledger and the logs of all parts in this folder.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say on standard error what is being done.")
def demo(
    *,
    duration: float | None,
    seed: int,
    as_json: bool,
    healthy: bool,
    direct: bool,
    heals: tuple[str, ...],
    keep: Path | None,
    verbose: bool,
) -> None:
    """Start MongoDB-wire and Postgres servers, a marketplace on both, the proxy, and traffic.

    Ends with the per-domain table and with which of the planted bugs were found. Everything runs on loopback, in
    a temporary folder that is removed at the end.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, stream=sys.stderr)
    if heals and healthy:
        raise click.UsageError("--heal repairs planted bugs, and --healthy plants none: leave one of them out")
    screen = Screen(Console(), Console(stderr=True), as_json=as_json, talkative=verbose)
    healed = parse_heals(heals, duration, direct=direct)
    options = DemoOptions(duration, seed, healthy, None if keep is None else keep.resolve(), direct, healed)
    sys.exit(run_demo(options, screen))
