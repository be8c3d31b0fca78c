"""`shadowread serve`: the proxy and the admin port."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from proxy.app import serve as serve_until_stopped
from proxy.cli.common import config_option, config_path, settings_of
from proxy.cli.noise import serve_against_itself
from proxy.fleet.loops import loop_factory
from proxy.fleet.workers import Workers
from proxy.reload import Source
from proxy.settings import Settings
from proxy.telemetry.logs import LogFormat, start_logging
from proxy.telemetry.setup import Telemetry

MOST_WORKERS = 64

EPILOG = """\b
Examples:
  shadowread serve
  shadowread serve -c /etc/shadowread.yaml -v
  shadowread serve --workers 4
  shadowread serve --aa                      what differs between two reads of the primary itself?
  SHADOWREAD_CONFIG=/etc/shadowread.yaml shadowread serve
  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 shadowread serve --log-format json

Spans and metrics are exported as the OTEL_* variables say; nothing is while they name neither an exporter nor an
endpoint.
"""


@click.command(epilog=EPILOG)
@config_option
@click.option(
    "--aa",
    is_flag=True,
    help="Shadow the primary by itself, in a ledger of its own, and say at the end what is noise.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that share the port, the ledger and one admin site. Each holds the configured limits by itself.",
)
@click.option("--json", "as_json", is_flag=True, help="With --aa: print the report as JSON.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="SHADOWREAD_LOG_FORMAT",
    help="How log lines are written to stderr. Default: SHADOWREAD_LOG_FORMAT, else text.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(*, config: Path | None, aa: bool, workers: int, as_json: bool, log_format: LogFormat, verbose: bool) -> None:
    """Stand in front of the primary until SIGINT or SIGTERM.

    The configuration is read again when its file, or one that it names for the id map, has changed, and on SIGHUP. One
    that is wrong, or that changes what needs a restart, is refused and logged, and the one before stays in force.
    """
    if as_json and not aa:
        raise click.UsageError("--json is for the report of --aa; serving by itself prints none")
    settings = settings_of(config)
    start_logging(log_format, verbose=verbose, stream=sys.stderr)
    telemetry = Telemetry.of(os.environ)

    def serving(made: Settings, source: Source | None = None) -> Coroutine[Any, Any, None]:
        crew = Workers(workers, made, log_format, verbose=verbose) if workers > 1 else None
        return serve_until_stopped(made, telemetry=telemetry, source=source, crew=crew)

    if aa:
        serve_against_itself(settings, serving, _run, as_json)
    else:
        _run(serving(settings, Source(config_path(config), os.environ)))


def _run(serving: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serving)
