"""Where a ledger lies: what is asked of an SQLite file and of a Postgres database alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

Sight: TypeAlias = Callable[[], Awaitable[bool]]
"""Whether the ledger that was opened is still the one that everybody else would open."""


class Store(Protocol):
    """One ledger's place. What it says never bears a password."""

    @property
    def name(self) -> str:
        """How people know it."""

    @property
    def advice(self) -> str:
        """What to do when it cannot be used at all."""

    @property
    def journals(self) -> Path:
        """What the names of the journals that belong to it begin with, in the folder where they lie."""

    @property
    def pooled(self) -> bool:
        """Whether one engine may be kept for all that is asked and written, however long it takes."""

    def check_journals(self) -> None:
        """Raises LedgerError where no journal can ever lie."""

    def place(self) -> str:
        """What tells the folder of the journals from those of other machines; empty where all have one. May be
        written down for the first time; raises OSError."""

    def absent(self) -> str | None:
        """Why there surely is no ledger, as far as that shows without asking it."""

    def engine(self) -> AsyncEngine:
        """For a process that also writes. Each transaction sees one moment."""

    def onlooker(self) -> AsyncEngine:
        """For one who looks on: nothing is created or changed."""

    def writer(self, engine: AsyncEngine) -> AsyncEngine:
        """The same engine for writing: of all its transactions, everybody's, there is one at a time."""

    def prepare(self, connection: Connection) -> None:
        """Make what must be there before the tables, inside the caller's write transaction."""

    def tables(self, connection: Connection) -> set[str]:
        """The names of all tables there are."""

    async def sight(self, engine: AsyncEngine, ledger: bytes, run: str) -> Sight:
        """To be asked later of the ledger that `engine` has just opened for `run`, and whose id is `ledger`."""

    def reason(self, error: BaseException) -> str:
        """Why it could not be written or read, in a few words."""

    def lasting(self, error: BaseException) -> bool:
        """Whether `error` is none that gets better by itself."""
