"""The command `shadowread` itself: its subcommands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from proxy import __version__
from proxy.errors import SettingsError, ShadowreadError
from proxy.ownership import check_ownership

EPILOG = """\b
Examples:
  shadowread demo --duration 45              see it work, nothing to set up
  shadowread check -c shadowread.yaml        is the configuration right, is everything reachable
  shadowread serve -c shadowread.yaml        stand in front of the primary
  shadowread status                          what was verified so far
  shadowread gate users --junit gate.xml     may the domain's reads flip (exit 0: yes)
"""

COMMANDS = (
    "demo",
    "serve",
    "check",
    "status",
    "findings",
    "accept",
    "trace",
    "gate",
    "window",
    "prove",
    "sweep",
    "replay",
    "compare",
    "config",
)


class Failure(click.ClickException):
    """Bad input or something that cannot be read: exit code 2, since 1 is an answer of `gate` and `compare`."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"shadowread: {self.format_message()}", file=file, err=file is None)


class Commands(click.Group):
    """Loads a command when it is asked for, so that `compare` does not wait for the servers' libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for name in COMMANDS if find_spec(f"proxy.cli.{name}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = getattr(import_module(f"proxy.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except BrokenPipeError:
            # Whoever read us (`head`) has enough. What is still buffered must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)
        except SettingsError as error:
            lines = "\n".join(f"  {problem}" for problem in error.problems)
            raise Failure(f"the configuration cannot be used:\n{lines}") from error
        except ShadowreadError as error:
            raise Failure(str(error)) from error
        except Exception as error:
            # Exit code 1 would say "closed" or "different", which nobody has found out.
            traceback.print_exc()
            raise Failure(f"this is a bug in shadowread: {type(error).__name__}") from error


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shadowread")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Configuration file. Default: SHADOWREAD_CONFIG, else config/shadowread.yaml.",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Verify reads of a backend on their way from MongoDB to Postgres."""
    ctx.obj = config


def main() -> None:
    """The console script."""
    try:
        check_ownership()
    except ShadowreadError as error:
        click.echo(f"shadowread: {error}", err=True)
        sys.exit(2)
    cli(prog_name="shadowread")
