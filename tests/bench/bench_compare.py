"""How long a comparison of two bodies takes, and how much memory: `python -m tests.bench.bench_compare`.

Only ratios within one run mean something. A target that is missed is said and is no failure; a comparison that says
something wrong is one, and nothing of it is timed.
"""

from __future__ import annotations

import argparse
import sys

import orjson

from tests.bench.documents import SIZES, pairs_of
from tests.bench.tables import Results, as_json, as_markdown, as_text
from tests.bench.timing import Bench, WrongComparisonError, peaks_of


def progress(text: str) -> None:
    """Show what is being done on one line, where somebody may be looking."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_compare", description=__doc__)
    parser.add_argument("--up-to", choices=list(SIZES), default=list(SIZES)[-1], help="the largest size to time")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds a call of DeepDiff or jsondiff may take")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true")
    output.add_argument("--markdown", action="store_true", help="the tables of the README")
    args = parser.parse_args()

    largest = list(SIZES)[-1]
    bench = Bench(args.limit, progress)
    try:
        for size in list(SIZES)[: list(SIZES).index(args.up_to) + 1]:
            bench.run(size, pairs_of(SIZES[size]))
        progress("memory")
        results = Results(bench.cells, peaks_of(largest, pairs_of(SIZES[largest])))
    except WrongComparisonError as error:
        progress("")
        raise SystemExit(f"The comparison is wrong, so its speed says nothing:\n{error}") from None
    progress("")
    if args.json:
        text = orjson.dumps(as_json(results), option=orjson.OPT_INDENT_2).decode()
    else:
        text = as_markdown(results) if args.markdown else as_text(results)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
