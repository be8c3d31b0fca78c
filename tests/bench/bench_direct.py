"""What a shadow read costs: straight from Postgres, or over HTTP from a twin of the backend on the same Postgres.

`python -m tests.bench.bench_direct`. Both read the same row and answer the same body, interleaved in one run; processor
time is this process's alone (the proxy's share), wall time includes the twin's. Only ratios mean something.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import asyncpg
from aiohttp import web

from comparators.ids import IdTable
from proxy.demo.processes import Supervisor
from proxy.demo.servers import start_postgres
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.client import HttpClient
from proxy.readers.http import HttpReader
from proxy.readers.postgres import PostgresReader
from proxy.readers.postgres_store import PostgresStore
from proxy.settings.readers import PostgresReaderSettings

ROWS, ROUNDS, CALLS = 1_000, 40, 25
ROUTE = "GET /api/things/{id}"
SQL = "SELECT id, name, price, at FROM things WHERE id = $1"
UUID = "00000000-0000-4000-8000-{:012x}"
PLAN = {
    "sql": SQL,
    "params": [{"from": "path.id", "type": "uuid"}],
    "shape": {"success": True, "data": {"one": "rows", "fields": ["id", "name", "price", "at"]}},
}


async def _resolve(_tokens: set[str]) -> IdTable:
    return IdTable()


def _twin(dsn: str, told: Connection) -> None:
    """A backend of the least cost: one query, one body."""

    async def main() -> None:
        pool = await asyncpg.create_pool(dsn)

        async def answer(request: web.Request) -> web.Response:
            (row,) = await pool.fetch(SQL, request.match_info["id"])
            at = row["at"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
            data = {"id": str(row["id"]), "name": row["name"], "price": str(row["price"]), "at": at}
            return web.json_response({"success": True, "data": data})

        app = web.Application()
        app.router.add_get("/api/things/{id}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def _measure(dsn: str, port: int) -> dict[str, tuple[list[float], list[float]]]:
    store = PostgresStore(dsn)
    await store.start()
    client = HttpClient(f"http://127.0.0.1:{port}", connect_timeout=5, idle_timeout=5, max_connections=4, max_idle=4)
    plan = PostgresReaderSettings.model_validate(PLAN).plan(ROUTE)
    readers: dict[str, Callable[[ReadRequest, float], Awaitable[Observation]]] = {
        "direct SQL": PostgresReader(store, plan, Side.SHADOW, _resolve).read,
        "HTTP twin": HttpReader(client, Side.SHADOW, max_body=1 << 20).read,
    }
    requests = [ReadRequest("GET", f"/api/things/{UUID.format(number)}", ()) for number in range(ROWS)]
    answers = [await read(requests[7], 5) for read in readers.values()]
    bodies = {(answer.body or b"").replace(b" ", b"") for answer in answers}
    if len(bodies) != 1 or answers[0].error:
        raise RuntimeError(f"the readers do not answer the same: {answers}")
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in readers}
    for number in range(ROUNDS):
        for name, read in readers.items():
            wall, own = time.perf_counter(), time.process_time()
            for call in range(CALLS):
                await read(requests[(number * CALLS + call) % ROWS], 5)
            taken[name][0].append((time.perf_counter() - wall) / CALLS)
            taken[name][1].append((time.process_time() - own) / CALLS)
    await store.close()
    await client.close()
    return taken


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "CREATE TABLE things (id uuid PRIMARY KEY, name text, price numeric(12,2), at timestamptz)"
    )
    rows = [(UUID.format(number), f"thing {number}") for number in range(ROWS)]
    await connection.executemany("INSERT INTO things VALUES ($1, $2, 12.50, '2026-01-15 20:43:05+00')", rows)
    await connection.close()


def main() -> None:
    """Print the table."""
    context = multiprocessing.get_context("spawn")
    with Supervisor() as supervisor:
        dsn = start_postgres(supervisor).dsn()
        asyncio.run(_fill(dsn))
        here, there = context.Pipe()
        twin = context.Process(target=_twin, args=(dsn, there), daemon=True)
        twin.start()
        try:
            taken = asyncio.run(_measure(dsn, here.recv()))
        finally:
            twin.kill()
    write = sys.stdout.write
    write(f"{'one shadow read of one row':28}{'wall us':>10}{'own processor us':>18}\n")
    medians = {name: [statistics.median(times) * 1e6 for times in both] for name, both in taken.items()}
    for name, (wall, own) in medians.items():
        write(f"{name:28}{wall:>10.0f}{own:>18.0f}\n")
    direct, http = medians["direct SQL"], medians["HTTP twin"]
    write(f"{'direct to twin':28}{direct[0] / http[0]:>10.2f}{direct[1] / http[1]:>18.2f}\n")


if __name__ == "__main__":
    main()
