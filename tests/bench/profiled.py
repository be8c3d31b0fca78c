"""A `shadowread` whose main thread is profiled from when it serves: `python -m tests.bench.profiled OUT serve ...`.

Only functions written in Python have lines of their own (`builtins=False`): what a system call or a library takes
counts for the function of ours that called it.
"""

from __future__ import annotations

import cProfile
import sys

import proxy.app
from proxy.cli.root import main
from proxy.collector import settle_collector


def run(out: str) -> None:
    profile = cProfile.Profile(builtins=False)

    def serving() -> None:
        settle_collector()
        profile.enable()

    proxy.app.settle_collector = serving  # type: ignore[attr-defined] # called when everything is open
    try:
        main()
    finally:
        profile.disable()
        profile.dump_stats(out)


if __name__ == "__main__":
    out = sys.argv.pop(1)
    run(out)
