"""A window while it is counted in."""

from __future__ import annotations

from proxy.window import Window


class Epoch:
    """A window as this process counts in it. The window may turn out to be another one when it is written down."""

    __slots__ = ("alone", "over", "seq", "window")

    def __init__(self, window: Window, seq: int | None, *, alone: bool = False) -> None:
        self.window = window
        self.seq = seq  # its place in the file, None while it has none
        self.alone = alone
        self.over = False

    @property
    def id(self) -> str:
        return self.window.id
