"""The garbage collector of a process that serves: what lives as long as the process is not looked through again."""

from __future__ import annotations

import gc

YOUNG = 20_000
"""New objects before the young generation is looked through. Python's own 700 are reached within a few dozen exchanges,
whose objects all go by counting references; looking for cycles among them took a twelfth of the time of each."""
OLDER, OLDEST = 20, 50


def settle_collector() -> None:
    """Call once, when everything is open: modules, settings and routes are set aside for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)
