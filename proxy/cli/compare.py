"""`shadowread compare`: two bodies, or a file of pairs, held against each other without a proxy."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from comparators.explain import MAX_EXPLAINED, explain, text_of
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import RulesError, compile_rules
from comparators.shown import one_line, path_line
from comparators.suggest import Suggestions, as_yaml, suggest
from proxy.cli.batch import Batch, compared, lines, outcome, printed
from proxy.cli.common import console, json_option, print_json, printable, table
from proxy.cli.root import Failure
from proxy.errors import ShadowreadError

EPILOG = """\b
Exit code: 0 all match, 1 some differ, 2 some input is unusable.
\b
Examples:
  shadowread compare mongo.json postgres.json
  shadowread compare mongo.json postgres.json --ids ids.json --rules rules.yaml --json
  shadowread compare --batch pairs.jsonl > verdicts.jsonl
  producer | shadowread compare --batch -
\b
ids.json      [{"entity": "user", "legacy": "64b0...24 hex digits", "uuid": "0197..."}]
rules.yaml    compare: {ignore: ["$.requestId"], order: {"$.tags": any}}
pairs.jsonl   {"id": 1, "primary": "{...}", "shadow": "{...}", "rules": {...}, "ids": [...]}
\b
Bodies are compared as JSON. One that is no JSON is a difference (unparseable), not an unusable input.
"""
BODY_BYTES = 512 * 1024 * 1024


@click.command(epilog=EPILOG)
@click.argument("primary", required=False, type=click.Path(path_type=Path))
@click.argument("shadow", required=False, type=click.Path(path_type=Path))
@click.option("--batch", metavar="FILE", help="JSON lines in, JSON lines out, in order; - reads standard input.")
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="A file with a compare: block.",
)
@click.option("--ids", "ids_file", type=click.Path(path_type=Path), metavar="F", help="A JSON list of joined ids.")
@json_option
def compare(
    *,
    primary: Path | None,
    shadow: Path | None,
    batch: str | None,
    rules_file: Path | None,
    ids_file: Path | None,
    as_json: bool,
) -> None:
    """Compare the JSON files PRIMARY and SHADOW, or every pair of a --batch file."""
    if batch is not None and primary is not None:
        raise click.UsageError("give either two files or --batch FILE, not both")
    if batch is None and (primary is None or shadow is None):
        raise click.UsageError("give two files, PRIMARY and SHADOW, or --batch FILE")
    try:
        block, pairs = _read_rules(rules_file), _read_ids(ids_file)
        if batch is not None:
            sys.exit(_compare_lines(batch, Batch(block, pairs)))
        assert primary is not None and shadow is not None  # noqa: S101, PT018 - checked above
        bodies, ids = (_read(primary), _read(shadow)), IdTable.of(pairs)
        result = compared(*bodies, compile_rules([block]), ids)
    except (ShadowreadError, RulesError) as error:
        if as_json:
            print_json({"verdict": "error", "error": str(error)})
            sys.exit(2)
        raise Failure(str(error)) from error
    if as_json:
        print_json(outcome(result))
    else:
        _show(console(), result, ids, suggest(*bodies, [block], ids, result))
    sys.exit(0 if result.equal else 1)


def _read_rules(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from proxy.settings import load_rules

    return load_rules(path, os.environ)


def _read_ids(path: Path | None) -> list[IdPair]:
    if path is None:
        return []
    from proxy.identity.pairs import read_pairs

    return read_pairs(path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(BODY_BYTES + 1)
    except OSError as error:
        raise ShadowreadError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(body) > BODY_BYTES:
        raise ShadowreadError(f"{path}: larger than {BODY_BYTES} bytes")
    return body


def _show(out: Console, result: Comparison, ids: IdTable, suggested: Suggestions) -> None:
    if result.equal:
        out.print(Text("match", style="green"))
    else:
        total = max(result.total, len(result.differences))
        out.print(Text(f"{total} difference{'' if total == 1 else 's'}", style="bold red"))
        rows = [
            [
                path_line(one.path),
                one.kind.value,
                "(absent)" if one.kind == "added" else one_line(one.primary),
                "(absent)" if one.kind == "missing" else one_line(one.shadow),
            ]
            for one in result.differences
        ]
        out.print(table(("path", "kind", "primary", "shadow"), rows))
        _explain(out, result, ids, suggested)
    if result.tolerated:
        rows = [[one.kind, one.path, str(one.count)] for one in result.tolerated]
        out.print(table(("tolerated", "path", "times"), rows, right=("times",)))


def _explain(out: Console, result: Comparison, ids: IdTable, suggested: Suggestions) -> None:
    def line(text: str, style: str = "") -> None:
        # Never broken by us: rules are copied from here.
        out.print(Text(printable(text), style=style), soft_wrap=True)

    explained = [explain(one, ids, suggested.rules) for one in result.differences[:MAX_EXPLAINED]]
    for text in (*(f"({remark})" for remark in result.remarks), *text_of(explained, result.total)):
        line(text)
    if suggested.rules:
        line("")
        stay = f"with all of them {suggested.left} of {result.total} would stay"
        line(
            f"rules that forgive these, each tried on this pair; {stay}. Keep those you can answer for:",
            "bold",
        )
        line(as_yaml(suggested.rules))
    for note in suggested.left_out:
        line(f"({note})")


def _compare_lines(name: str, batch: Batch) -> int:
    verdicts: set[str] = set()
    out = sys.stdout.buffer
    with _opened(name) as file, _progress(file) as advance:
        for line in lines(file):
            answer = batch.answer(line)
            verdicts.add(answer["verdict"])
            out.write(printed(answer))
            # Line by line: whoever feeds us may wait for each answer.
            out.flush()
            advance(len(line))
    return 2 if "error" in verdicts else 1 if "diff" in verdicts else 0


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; only opening may fail as the user's fault
    except OSError as error:
        raise ShadowreadError(f"{name}: cannot be read: {error.strerror or error}") from error
    with file:
        yield file


@contextmanager
def _progress(file: BinaryIO) -> Iterator[Any]:
    """A bar on standard error, in a terminal only and not over lines that stand in the same terminal."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _count: None
        return
    total = os.fstat(file.fileno()).st_size or None
    columns = (TextColumn("compared"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compare", total=total)
        yield lambda count: bar.advance(task, count)
