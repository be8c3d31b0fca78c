"""Fuzzing by hand: `python -m tests.comparators.fuzz.run SECONDS [SEED]`.

With atheris installed its coverage leads the way, else chance alone does. Every find is printed as a line of
`cases.jsonl` without what should be said: the smallest draw for each thing that did not hold.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import time
from typing import Any

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
if HAS_ATHERIS:
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # optional, and has no stubs

    with atheris.instrument_imports(include=["comparators"]):
        from tests.comparators.fuzz import checking
else:
    from tests.comparators.fuzz import checking

from tests.comparators.fuzz.making import Draw, draw  # noqa: E402 - after what is to be instrumented

_MAX_BYTES = 4_096


class Chosen(random.Random):
    """Randomness that comes from the fuzzer's bytes, zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data = data
        self._at = 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def random(self) -> float:
        return self._byte() / 256

    def getrandbits(self, k: int, /) -> int:
        return sum(self._byte() << shift for shift in range(0, k, 8)) & ((1 << k) - 1)


class Finds:
    """The smallest draw for each thing that did not hold, printed when it is found."""

    def __init__(self) -> None:
        self.tried = self.judged = 0
        self._smallest: dict[str, int] = {}

    def try_draw(self, one: Draw) -> None:
        self.tried += 1
        try:
            self.judged += checking.check(one)
        except Exception as error:  # noqa: BLE001 - that nothing raises is what is tested
            size = len(one.primary) + len(one.shadow) + len(str(one.block))
            self._note(error, size, _as_case(one))

    def try_bytes(self, data: bytes) -> None:
        self.tried += 1
        try:
            checking.check_bytes(data)
        except Exception as error:  # noqa: BLE001 - that nothing raises is what is tested
            self._note(error, len(data), {"bytes": repr(data)})

    def _note(self, error: Exception, size: int, case: dict[str, Any]) -> None:
        what = str(error.args[0]) if isinstance(error, checking.FoundError) else f"raised {type(error).__name__}"
        if size < self._smallest.get(what, sys.maxsize):
            self._smallest[what] = size
            print(json.dumps({"id": what, **case, "said": repr(error.args[1:])}), flush=True)  # noqa: T201 - a tool


def _as_case(one: Draw) -> dict[str, Any]:
    bodies = {"primary": one.primary.decode(), "shadow": one.shadow.decode()}
    return {**bodies, "rules": one.block, "ids": [list(pair) for pair in one.pairs]}


def main(seconds: int, seed: int) -> None:
    finds = Finds()

    def target(data: bytes) -> None:
        if data[:1] < b"\xc0":
            finds.try_draw(draw(Chosen(data[1:])))
        else:
            finds.try_bytes(data[1:])

    if HAS_ATHERIS:
        limits = [
            f"-max_total_time={seconds}",
            f"-max_len={_MAX_BYTES}",
            f"-seed={seed + 1}",
            "-len_control=0",
        ]
        atheris.Setup([sys.argv[0], *limits], target)
        atheris.Fuzz()
    rng = random.Random(seed)
    end = time.process_time() + seconds
    while time.process_time() < end:
        finds.try_draw(draw(rng))
    print(f"{finds.tried} draws, {finds.judged} of them judged by the reference")  # noqa: T201 - a tool


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
