"""What may go wrong when Postgres is asked."""

from __future__ import annotations

import asyncpg

POSTGRES_FAULTS = (
    OSError,  # no way to the server, a TimeoutError among them
    ValueError,  # a DSN that cannot be parsed
    asyncpg.PostgresError,  # what the server answers
    asyncpg.InterfaceError,  # a connection or pool that is closed, a DSN that says nothing usable
    asyncpg.InternalClientError,  # what asyncpg raises when the server ends a connection just as it is used
)
"""All that asyncpg raises when a store cannot be asked. A fault of our own, a TypeError say, is not among them."""
