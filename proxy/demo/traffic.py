"""Clients of the marketplace: `python -m proxy.demo.traffic --target URL --duration S`.

Each client asks at its own pace whether or not the others wait (open loop), so that a slow target shows as late
requests and not as fewer. Ends after the duration or on SIGTERM, with a JSON summary on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from proxy.demo.traffic_mix import READS, WRITERS, Ask, World, missing, read, search

REQUEST_SECONDS = 20.0
LATE_SECONDS = 2.0
MAX_ETAGS = 500
LEARNERS = 25
WARM_UP_SECONDS = 60.0
NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass(frozen=True, slots=True)
class Shares:
    """What part of all requests is of a kind; the rest are plain reads."""

    write: float = 0.035
    conditional: float = 0.06
    head: float = 0.02
    missing: float = 0.03
    search: float = 0.01
    break_off: float = 0.004
    identity: float = 0.3


@dataclass
class Tally:
    """What happened. `failures` counts what a client of a healthy target never sees."""

    requests: int = 0
    failures: int = 0
    late: int = 0
    by_class: Counter[str] = field(default_factory=Counter)
    by_domain: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def failed(self, what: str) -> None:
        self.failures += 1
        if len(self.errors) < 50 or what in self.errors:
            self.errors[what] += 1

    def as_json(self, seconds: float) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "seconds": round(seconds, 1),
            "failures": self.failures,
            "late": self.late,
            "classes": dict(sorted(self.by_class.items())),
            "domains": dict(sorted(self.by_domain.items())),
            "statuses": {str(status): count for status, count in sorted(self.by_status.items())},
            "errors": dict(self.errors.most_common(20)),
        }


@dataclass(frozen=True)
class Options:
    target: str
    duration: float
    clients: int
    rate: float
    seed: int
    shares: Shares = Shares()


class Ended(Exception):  # noqa: N818 - not an error: how the group of clients is told that it is over
    pass


class Client:
    """One client: its own session, pace and memory of ETags."""

    def __init__(self, options: Options, session: aiohttp.ClientSession, world: World, tally: Tally, seed: int) -> None:
        self.options = options
        self.session = session
        self.world = world
        self.tally = tally
        self.rng = random.Random(seed)
        self.etags: OrderedDict[tuple[str, str | None], str] = OrderedDict()
        self.deck: list[str] = []

    async def run(self, clock: Callable[[], float]) -> None:
        """Ask until cancelled, `rate / clients` times a second."""
        pause = self.options.clients / self.options.rate
        due = clock() + self.rng.uniform(0, pause)
        while True:
            await asyncio.sleep(due - clock())
            await self.once()
            due += self.rng.uniform(0.5, 1.5) * pause
            if clock() - due > LATE_SECONDS:
                self.tally.late += 1
                due = clock()

    async def once(self) -> None:
        shares, dice = self.options.shares, self.rng.random()
        if dice < shares.write:
            ask = self.rng.choice(WRITERS)(self.world, self.rng)
            await self.send(ask)
        elif dice < shares.write + shares.search:
            await self.send(search(self.world, self.rng))
        elif dice < shares.write + shares.search + shares.missing:
            domain = self.next_domain()
            await self.send(missing(domain, self.rng) or read(domain, self.world, self.rng))
        else:
            await self.send_read(read(self.next_domain(), self.world, self.rng))

    def next_domain(self) -> str:
        """Every domain equally often, in a new order each round."""
        if not self.deck:
            self.deck = self.rng.sample(sorted(READS), len(READS))
        return self.deck.pop()

    async def send_read(self, ask: Ask) -> None:
        shares, dice = self.options.shares, self.rng.random()
        if dice < shares.break_off:
            await self.break_off(ask)
        elif dice < shares.break_off + shares.head:
            await self.send(replace(ask, kind="head", method="HEAD"))
        elif dice < shares.break_off + shares.head + shares.conditional and self.etags:
            (path, user), etag = self.rng.choice(list(self.etags.items()))
            await self.send(Ask(ask.domain, "conditional", "GET", path, user), {"If-None-Match": etag})
        else:
            await self.send(ask)

    async def send(self, ask: Ask, headers: dict[str, str] | None = None) -> None:
        tally = self.tally
        tally.requests += 1
        tally.by_class[ask.kind] += 1
        tally.by_domain[ask.domain] += 1
        try:
            async with self.session.request(
                ask.method,
                self.options.target + ask.path,
                json=ask.body,
                headers=self.headers(ask) | (headers or {}),
            ) as response:
                body = await response.read()
        except NETWORK_ERRORS as error:
            tally.failed(f"{ask.method} {ask.path.partition('?')[0]}: {type(error).__name__} {error}"[:200])
            return
        tally.by_status[response.status] += 1
        if response.status not in ask.expected:
            tally.failed(f"{ask.method} {ask.path}: {response.status}")
        elif ask.method == "GET" and response.status == 200 and "ETag" in response.headers:
            self.remember(ask, response.headers["ETag"])
        elif ask.kind == "write":
            self.learn(ask, body)

    def headers(self, ask: Ask) -> dict[str, str]:
        headers = {} if ask.user is None else {"Authorization": f"Bearer demo-{ask.user}"}
        if self.rng.random() < self.options.shares.identity:
            headers["Accept-Encoding"] = "identity"
        return headers

    def remember(self, ask: Ask, etag: str) -> None:
        self.etags[ask.path, ask.user] = etag
        if len(self.etags) > MAX_ETAGS:
            self.etags.popitem(last=False)

    def learn(self, ask: Ask, body: bytes) -> None:
        """What was created is read later on."""
        if ask.path == "/api/payment/webhook":
            self.world.learn("payment", [json.loads(body)["data"]["id"]])

    async def break_off(self, ask: Ask) -> None:
        """Hang up before the whole answer is there, as an impatient browser does."""
        self.tally.requests += 1
        self.tally.by_class["broken_off"] += 1
        self.tally.by_domain[ask.domain] += 1
        try:
            async with asyncio.timeout(self.rng.uniform(0.0005, 0.01)):
                async with self.session.get(self.options.target + ask.path, headers=self.headers(ask)) as response:
                    response.close()
        except TimeoutError:
            return
        except NETWORK_ERRORS as error:
            self.tally.failed(f"{ask.path}: {type(error).__name__} {error}"[:200])

    async def chat(self) -> None:
        """Hold a chat socket open and talk, with another chat every now and then; until cancelled."""
        while True:
            chat, user = self.rng.choice(self.world.owned["chat"])
            url = f"{self.options.target}/api/chats/{chat}/socket"
            try:
                async with self.session.ws_connect(url, headers={"Authorization": f"Bearer demo-{user}"}) as socket:
                    self.tally.by_class["socket"] += 1
                    for _ in range(8):
                        await socket.send_str('{"text": "Is it still available?"}')
                        async with asyncio.timeout(REQUEST_SECONDS):
                            frame = await socket.receive_json()
                        self.tally.by_class[f"socket_{frame['event']}"] += 1
                        await asyncio.sleep(self.rng.uniform(0.5, 1.5))
            except (*NETWORK_ERRORS, TypeError) as error:
                # TypeError is how aiohttp reports that a close came where a message was awaited.
                self.tally.failed(f"chat socket: {type(error).__name__} {error}"[:200])
                await asyncio.sleep(1)

    async def events(self) -> None:
        """Listen to the stream of one user's notifications; until cancelled."""
        user = self.rng.choice(self.world.pools["user"])
        headers = {"Authorization": f"Bearer demo-{user}", "Accept": "text/event-stream"}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        while True:
            try:
                url = f"{self.options.target}/api/stream/notifications"
                async with self.session.get(url, headers=headers, timeout=timeout) as response:
                    if response.status != 200:
                        self.tally.failed(f"event stream: {response.status}")
                    async for line in response.content:
                        self.tally.by_class["stream_lines"] += bool(line.strip())
            except NETWORK_ERRORS as error:
                self.tally.failed(f"event stream: {type(error).__name__} {error}"[:200])
            await asyncio.sleep(1)


async def learn_world(client: Client) -> None:
    """Look around first, as somebody does who clicks through the lists; raises aiohttp.ClientError if that fails."""

    async def items(path: str, user: str | None = None) -> list[dict[str, Any]]:
        headers = {} if user is None else {"Authorization": f"Bearer demo-{user}"}
        async with client.session.get(client.options.target + path, headers=headers) as response:
            response.raise_for_status()
            found: list[dict[str, Any]] = (await response.json())["data"]
            return found

    world = client.world
    for pool, path, key in _TOURS:
        world.learn(pool, [str(item[key]) for item in await items(path)])
    world.learn("linked", [item["userId"] for item in await items("/api/telegram/links?limit=100")])
    for seller in world.pools["seller"][:10]:
        world.learn("review", [item["id"] for item in await items(f"/api/reviews/sellers/{seller}?limit=100")])
    for request in world.pools["request"][:30]:
        path = f"/api/marketplace/purchase-requests/{request}/offers"
        world.learn("offer", [item["id"] for item in await items(path)])
    for user in client.rng.sample(world.pools["user"], min(LEARNERS, len(world.pools["user"]))):
        world.learn("address", [item["id"] for item in await items("/api/addresses", user)])
        for pool in ("notification", "chat"):
            world.learn_owned(pool, [item["id"] for item in await items(f"/api/{pool}s", user)], user)


_TOURS: Sequence[tuple[str, str, str]] = (
    ("user", "/api/users?limit=100", "id"),
    ("seller", "/api/shops?limit=100", "sellerId"),
    ("request", "/api/marketplace/purchase-requests?limit=100", "id"),
    ("template", "/api/marketplace/request-templates?limit=100", "id"),
    ("payment", "/api/payment?limit=100", "id"),
    ("hold", "/api/release-holds?limit=100", "id"),
    ("destination", "/api/derived-destinations?limit=100", "id"),
    ("account", "/api/trezor/accounts?limit=100", "id"),
    ("dispute", "/api/disputes?limit=100", "id"),
    ("slug", "/api/blog/posts?limit=100", "slug"),
    ("category", "/api/categories?limit=100", "id"),
    ("session", "/api/telegram/sessions?limit=100", "id"),
    ("level", "/api/levels", "level"),
)


async def run(options: Options, stop: asyncio.Event, clock: Callable[[], float] = time.monotonic) -> Tally:
    """Run all clients until the duration is over or `stop` is set."""
    tally, world = Tally(), World()
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)

    async def end() -> None:
        try:
            async with asyncio.timeout(options.duration):
                await stop.wait()
        except TimeoutError:
            pass
        raise Ended

    async def work(session: aiohttp.ClientSession) -> None:
        clients = [
            Client(options, session, world, tally, options.seed * 1000 + number) for number in range(options.clients)
        ]
        try:
            async with asyncio.timeout(WARM_UP_SECONDS):
                await learn_world(clients[0])
        except (*NETWORK_ERRORS, KeyError) as error:
            tally.failed(f"looking around: {type(error).__name__} {error}"[:200])
            raise Ended from error
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run(clock))
            group.create_task(clients[0].chat())
            group.create_task(clients[-1].events())

    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(end())
                group.create_task(work(session))
        except* Ended:
            pass
    return tally


async def _main(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    started = time.monotonic()
    tally = await run(options, stop)
    sys.stdout.write(json.dumps(tally.as_json(time.monotonic() - started)) + "\n")
    sys.stdout.flush()
    return 0 if tally.requests else 1


def main() -> int:
    """Exit code 0, or 1 when the target could not be talked to at all."""
    parser = argparse.ArgumentParser(prog="python -m proxy.demo.traffic", description=__doc__)
    parser.add_argument("--target", required=True, help="base URL, say http://127.0.0.1:8080")
    parser.add_argument("--duration", type=float, default=30.0, help="seconds")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float, default=240.0, help="requests a second, by all clients together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.clients < 1 or args.rate <= 0 or args.duration <= 0:
        parser.error("--clients, --rate and --duration must be positive")
    return asyncio.run(_main(Options(args.target.rstrip("/"), args.duration, args.clients, args.rate, args.seed)))


if __name__ == "__main__":
    sys.exit(main())
