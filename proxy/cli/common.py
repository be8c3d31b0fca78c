"""What the commands share: the configuration, the ledger seen from beside, and how things are printed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from comparators.decode import Unparseable, decode
from comparators.encode import dumps

if TYPE_CHECKING:
    from proxy.admin.evidence import Evidence
    from proxy.settings import Settings

DEFAULT_CONFIG = Path("config/shadowread.yaml")
PIPE_WIDTH = 1_000_000
"""Columns where nobody's window limits them: nothing may be cut off or broken in what another program reads."""

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Configuration file. Default: SHADOWREAD_CONFIG, else config/shadowread.yaml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def headers_option(
    *short: str, tells: str = "Lines `Name: value` that go along with each read, a token among them."
) -> Callable[[F], F]:
    """`--headers FILE`, to be read by `read_headers`. `short` are further names of it."""
    path = click.Path(dir_okay=False, path_type=Path)
    return click.option(*short, "--headers", type=path, metavar="FILE", help=tells)


def config_path(given: Path | None) -> Path:
    """The configuration file: the command's option, the one before the command, the variable, the default."""
    before = click.get_current_context().obj
    return given or before or Path(os.environ.get("SHADOWREAD_CONFIG") or DEFAULT_CONFIG)


def settings_of(given: Path | None) -> Settings:
    """The configuration; raises SettingsError."""
    from proxy.settings import load_settings

    return load_settings(config_path(given), os.environ)


@asynccontextmanager
async def evidence_of(settings: Settings) -> AsyncIterator[Evidence]:
    """The evidence in the ledger that another process may be writing; raises LedgerError."""
    from proxy.admin.evidence import Evidence
    from proxy.ledger import LedgerReader
    from proxy.opening import rules_fingerprint

    ledger = await LedgerReader.open(settings.ledger.url)
    try:
        yield Evidence(settings, ledger, now=lambda: datetime.now(UTC), rules=partial(rules_fingerprint, settings))
    finally:
        await ledger.close()


class _Output(Console):
    def on_broken_pipe(self) -> None:
        # Rich would exit with 1, which is an answer of `gate` and `compare`.
        raise BrokenPipeError


def console() -> Console:
    """Standard output. Colours only in a terminal, and not with NO_COLOR; no limit of width in a pipe."""
    terminal = sys.stdout.isatty()
    return _Output(
        file=sys.stdout,
        force_terminal=terminal,
        color_system="auto" if terminal and not os.environ.get("NO_COLOR") else None,
        width=None if terminal else PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> Table:
    """A table in which long values are folded, never cut. `right` names the columns of figures."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        figures = column in right
        made.add_column(column, overflow="fold", justify="right" if figures else "left", no_wrap=figures)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    return made


def print_json(content: Any) -> None:
    """One JSON value, indented for people in a terminal."""
    click.echo(dumps(content, indent=2 if sys.stdout.isatty() else None))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(value: Any) -> str:
    """A value as text that cannot steer the terminal: it may come from a backend or from a client."""
    text = "" if value is None else str(value)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def pretty(body: str | None) -> str:
    """A body for people: indented where it is JSON, as it is where not."""
    if body is None:
        return "(no body kept)"
    value = decode(body.encode(errors="surrogatepass"))
    return body if isinstance(value, Unparseable) else dumps(value, indent=2)


def moment(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def rate(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
