"""What is done once in a while to keep the file small: it loses detail of what is past, never a count."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import examined, standing, windows
from proxy.ledger.minutes import fold_minutes


async def tidy(connection: AsyncConnection, now_us: int, held: Collection[str]) -> None:
    """`held` are the windows that this process counts in; one of them may not be in the file yet."""
    await windows.fold(connection)
    current = {stored.window.id for stored in (await windows.newest(connection)).values()}.union(held)
    for beside in (examined, standing):
        await beside.drop_windows(connection, current)
    await fold_minutes(connection, now_us)
