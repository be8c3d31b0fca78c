"""The command line: one file per command."""

from proxy.cli.root import cli, main

__all__ = ["cli", "main"]
