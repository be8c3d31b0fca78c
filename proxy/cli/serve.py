"""`shadowread serve`: the proxy and the admin port."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from proxy.app import serve as serve_until_stopped
from proxy.cli.common import config_option, settings_of
from proxy.cli.noise import serve_against_itself

EPILOG = """\b
Examples:
  shadowread serve
  shadowread serve -c /etc/shadowread.yaml -v
  shadowread serve --aa                      what differs between two reads of the primary itself?
  SHADOWREAD_CONFIG=/etc/shadowread.yaml shadowread serve
"""


@click.command(epilog=EPILOG)
@config_option
@click.option(
    "--aa",
    is_flag=True,
    help="Shadow the primary by itself, in a ledger of its own, and say at the end what is noise.",
)
@click.option("--json", "as_json", is_flag=True, help="With --aa: print the report as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(*, config: Path | None, aa: bool, as_json: bool, verbose: bool) -> None:
    """Stand in front of the primary until SIGINT or SIGTERM."""
    if as_json and not aa:
        raise click.UsageError("--json is for the report of --aa; serving by itself prints none")
    settings = settings_of(config)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if aa:
        serve_against_itself(settings, serve_until_stopped, _run, as_json)
    else:
        _run(serve_until_stopped(settings))


def _run(serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serving)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: it serves 10 to 25 % more requests."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
