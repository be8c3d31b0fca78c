"""MongoReader against a real MongoDB-wire server: what it answers, and what it says when the server does not."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import monitoring

from comparators.ids import IdPair, IdTable
from proxy.demo.processes import Child, Supervisor
from proxy.demo.servers import start_mongo
from proxy.direct.mongo_query import QueryError
from proxy.direct.plans import Answer, MongoPlan, QueryPlan
from proxy.direct.shape import compile_shape
from proxy.errors import ShadowreadError
from proxy.identity import IdentityError
from proxy.model import Observation, ReadRequest, Side
from proxy.readers import mongo_store
from proxy.readers.mongo import MongoError, MongoReader, MongoStore
from tests.comparators.stores import _OPTIONS, DOCUMENT, RARE, _symbol, mongoose
from tests.direct.specs import parameter_of

DATABASE = "shadowread_test_readers"
ANN, BOB = ObjectId("65f1a2b3c4d5e6f708192a01"), ObjectId("65f1a2b3c4d5e6f708192a02")
ANN_UUID = "7d9f3c52-1a64-4a0e-9b37-0c2f7f5d1a01"
USERS = [
    {"_id": ANN, "name": "Ann", "password": "$ecret", "age": 30, "tags": ["a", "b"]},
    {"_id": BOB, "name": '{"$gt": ""}', "password": "other", "age": 40, "inviter": ANN},
]
ORDERS = [
    {"_id": 1, "buyer": ANN, "total": Decimal128("0.10"), "size": 1.0},
    {"_id": 2, "buyer": ANN, "total": Decimal128("0.20"), "size": 2.5},
    {"_id": 3, "buyer": BOB, "total": Decimal128("5"), "size": 1e-7},
]
BY_ID = {"from": "path.id", "type": "object_id", "entity": "user"}


async def joined(ids: set[str]) -> IdTable:
    return IdTable.of(pair for pair in [IdPair("user", str(ANN), ANN_UUID)] if {pair.legacy, pair.uuid} & ids)


@pytest.fixture(scope="module")
def url(mongo_url: str) -> Iterator[str]:
    """A server with users and their orders. The tests of this module only read it."""

    async def fill(database: Any) -> None:
        await database["users"].insert_many(USERS)
        await database["orders"].insert_many(ORDERS)
        await database["many"].insert_many([{"_id": n, "pad": "x" * 90} for n in range(300)])
        types = database.get_collection("types", codec_options=_OPTIONS)
        await types.insert_many([DOCUMENT, RARE, _symbol()])

    on_database(mongo_url, fill)
    yield mongo_url
    on_database(mongo_url, None)


def on_database(url: str, work: Callable[[Any], Any] | None) -> None:
    async def run() -> None:
        client: Any = AsyncIOMotorClient(url)
        await client.drop_database(DATABASE)
        if work is not None:
            await work(client[DATABASE])
        client.close()

    with asyncio.Runner() as runner:
        runner.run(run())


@pytest.fixture
async def store(url: str) -> AsyncIterator[MongoStore]:
    made = MongoStore(url, DATABASE, connections=4, max_time=5)
    await made.start()
    yield made
    await made.close()


def query(
    collection: str,
    document: Any,
    params: Sequence[Any] = (),
    name: str = "rows",
    operation: Literal["find", "aggregate"] | None = None,
    **more: Any,
) -> QueryPlan:
    kind = operation or ("aggregate" if isinstance(document, list) else "find")
    return QueryPlan(name, collection, kind, document, parameters=tuple(map(parameter_of, params)), **more)


def reader(store: MongoStore, *queries: QueryPlan, shape: Any = None, **options: Any) -> MongoReader:
    plan = MongoPlan(
        "GET /api/users/{id}",
        queries,
        compile_shape(shape),
        not_found=Answer(404, {"success": False}),
        invalid=Answer(422, {"error": "bad"}),
    )
    return MongoReader(store, plan, Side.PRIMARY, options.pop("resolve", joined), **options)


async def ask(asked: MongoReader, target: str = f"/api/users/{ANN}", timeout: float = 5) -> Observation:
    return await asked.read(ReadRequest("GET", target, ()), timeout)


async def value(asked: MongoReader, target: str = f"/api/users/{ANN}") -> Any:
    seen = await ask(asked, target)
    assert (seen.status, seen.error) == (200, None), seen
    assert seen.body is not None
    return json.loads(seen.body)


class Given(MongoStore):
    """A store of one document that no server takes from a client, but that one may hold."""

    def __init__(self, raw: bytes) -> None:
        super().__init__("mongodb://127.0.0.1:1", "x")
        self._raw = raw

    async def fetch(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._raw]


USER = {"one": "rows", "fields": {"id": "_id", "name": "name", "inviter": "inviter"}}


async def test_a_document_is_laid_out_with_its_children(store: MongoStore) -> None:
    orders = query("orders", {"buyer": "$1"}, [BY_ID], "orders", sort=(("_id", -1),))
    shape = {
        "success": True,
        "user": {
            "one": "rows",
            "fields": {
                "*": "same",
                "orders": {"many": "orders", "by": {"buyer": "_id"}, "fields": {"no": "_id", "size": "size"}},
                "spent": {"sum": "orders.total"},
            },
        },
        "asked": {"param": 1},
    }
    asked = reader(store, query("users", {"_id": "$1"}, [BY_ID], projection={"password": 0}), orders, shape=shape)
    seen = await ask(asked)
    assert (seen.side, seen.status, seen.error, seen.detail) == (Side.PRIMARY, 200, None, "")
    assert seen.headers == ((b"Content-Type", b"application/json; charset=utf-8"),)
    assert seen.seconds > 0
    assert seen.body == (
        b'{"success":true,"user":{"_id":"65f1a2b3c4d5e6f708192a01","name":"Ann","age":30,"tags":["a","b"],'
        b'"orders":[{"no":2,"size":2.5},{"no":1,"size":1}],"spent":0.30},"asked":"65f1a2b3c4d5e6f708192a01"}'
    )
    sizes = reader(store, query("orders", {"buyer": BOB}), shape={"many": "rows", "each": "size"})
    assert (await ask(sizes)).body == b"[1e-7]"


async def test_a_field_that_a_document_lacks_is_left_out(store: MongoStore) -> None:
    asked = reader(store, query("users", {"_id": "$1"}, [BY_ID]), shape=USER)
    assert await value(asked) == {"id": str(ANN), "name": "Ann"}
    assert (await value(asked, f"/api/users/{BOB}"))["inviter"] == str(ANN)


async def test_an_aggregate(store: MongoStore) -> None:
    stages = [
        {"$match": {"buyer": "$1"}},
        {"$group": {"_id": "$buyer", "total": {"$sum": "$total"}, "orders": {"$sum": 1}}},
        {"$set": {"asked": {"$literal": "$2"}}},
        {"$limit": "$3"},
    ]
    params = [BY_ID, "query.q", {"from": "query.limit", "type": "int", "default": 1}]
    asked = reader(store, query("orders", stages, params))
    assert await value(asked, f"/api/users/{ANN}?q=$password") == [
        {"_id": str(ANN), "total": {"$numberDecimal": "0.30"}, "orders": 2, "asked": "$password"}
    ]
    assert await value(asked, f"/api/users/{'0' * 24}") == []


async def test_sort_limit_skip_and_projection(store: MongoStore) -> None:
    params = [
        {"from": "query.limit", "type": "int", "default": 2, "min": 0, "max": 100},
        {"from": "query.skip", "type": "int"},
    ]
    asked = reader(
        store,
        query("many", {}, params, sort=(("_id", -1),), limit="$1", skip="$2", projection={"_id": 1}),
        shape={"many": "rows", "each": "_id"},
    )
    assert await value(asked) == [299, 298]
    assert await value(asked, "/api/users/x?limit=3&skip=297") == [2, 1, 0]
    assert len(await value(asked, "/api/users/x?limit=0")) == 300
    assert (await ask(asked, "/api/users/x?limit=101")).status == 422


async def test_every_bson_type_as_mongoose_prints_it(store: MongoStore) -> None:
    asked = reader(store, query("types", {"_id": "$1"}, [BY_ID]), shape={"one": "rows", "fields": "*"})
    for document in (DOCUMENT, RARE):
        seen = await ask(asked, f"/api/users/{document['_id']}")
        assert seen.body is not None
        printed, expected = json.loads(seen.body), json.loads(mongoose(document))
        assert (printed.pop("big"), expected.pop("big")) == (9007199254740993, 9007199254740992)
        assert printed == expected


async def test_types_that_no_driver_writes_any_more() -> None:
    """The server of the wheel stores undefined as null, so the bytes are given as MongoDB itself would give them."""
    asked = reader(Given(bytes(_symbol().raw)), query("types", {}), shape={"one": "rows", "fields": "*"})
    assert await value(asked) == {"_id": "65f1a2b3c4d5e6f708192a09", "sym": "abc"}


TEXTS = {"from": "query.q", "list": True, "default": []}
HOSTILE = ["$password", "$$ROOT", '{"$ne": null}', "'; drop", "true", "[]", "[$ne]=1", "\x00", "$1", "\ud800"]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_a_value_gets_nowhere_beyond_its_place(store: MongoStore, hostile: str) -> None:
    text = quote(hostile, errors="surrogatepass")
    by_name = query("users", {"name": "$1", "tags": {"$nin": "$2"}}, ["query.q", TEXTS])
    in_expression = query(
        "users",
        [{"$match": {"$expr": {"$eq": ["$password", {"$literal": "$1"}]}}}, {"$set": {"password": {"$literal": "$1"}}}],
        ["query.q"],
    )
    for asked in (reader(store, by_name), reader(store, in_expression)):
        for key in ("q", "q[$ne]", "q[]"):
            seen = await ask(asked, f"/api/users/x?{quote(key)}={text}")
            assert seen.error is None
            assert (seen.status, seen.body) in ((200, b"[]"), (422, b'{"error":"bad"}'))


async def test_a_text_that_looks_like_an_operator_is_found_as_text(store: MongoStore) -> None:
    asked = reader(store, query("users", {"name": "$1"}, ["query.q"]), shape={"many": "rows", "each": "_id"})
    assert await value(asked, f"/api/users/x?q={quote(json.dumps({'$gt': ''}))}") == [str(BOB)]


async def test_ids_of_the_other_store_are_asked_for_by_their_partner(store: MongoStore) -> None:
    asked = reader(store, query("users", {"_id": "$1"}, [BY_ID]), shape=USER)
    assert (await value(asked, f"/api/users/{ANN_UUID.upper()}"))["name"] == "Ann"
    unknown = await ask(asked, "/api/users/00000000-0000-4000-8000-000000000009")
    assert (unknown.status, unknown.body) == (404, b'{"success":false}')
    assert unknown.detail == "id 00000000-0000-4000-8000-000000000009 is not in the id map"


async def test_an_unknown_id_does_not_find_what_has_no_id(store: MongoStore) -> None:
    asked = reader(store, query("users", {"inviter": "$1"}, [BY_ID]))
    assert await value(asked, "/api/users/00000000-0000-4000-8000-000000000009") == []
    listed = reader(store, query("users", {"inviter": {"$in": "$1"}}, [{**BY_ID, "list": True}]))
    assert await value(listed, "/api/users/00000000-0000-4000-8000-000000000009") == []


async def test_what_fits_no_parameter_is_the_invalid_answer(store: MongoStore) -> None:
    asked = reader(store, query("users", {"_id": "$1"}, [BY_ID]), shape=USER)
    seen = await ask(asked, "/api/users/abc")
    assert (seen.status, seen.body, seen.error) == (422, b'{"error":"bad"}', None)
    assert "path.id: not an id of 24 hex digits" in seen.detail
    no_limit = reader(store, query("users", {}, ["query.n"], limit="$1"))
    assert "limit is to be an integer from 0" in (await ask(no_limit, "/api/users/x?n=5")).detail


async def test_an_id_map_that_is_away_is_said(store: MongoStore) -> None:
    async def away(_ids: set[str]) -> IdTable:
        raise IdentityError("Postgres is away")

    asked = reader(store, query("users", {"_id": "$1"}, [BY_ID]), shape=USER, resolve=away)
    seen = await ask(asked, f"/api/users/{ANN_UUID}")
    assert (seen.error, seen.detail) == ("unreachable", "unreachable: the id map cannot be asked: Postgres is away")
    assert (await ask(asked)).status == 200


async def test_too_much_is_not_taken(store: MongoStore) -> None:
    everything = query("many", {})
    assert (await ask(reader(store, everything, max_documents=300))).status == 200
    few = await ask(reader(store, everything, max_documents=299))
    assert (few.status, few.body, few.error) == (None, None, "too_large")
    assert "query rows finds more than 299 documents" in few.detail
    piped = reader(store, query("many", [{"$match": {}}]), max_documents=299)
    assert (await ask(piped)).error == "too_large"
    raw = await ask(reader(store, everything, max_body=5_000))
    assert (raw.error, raw.detail) == ("too_large", "too_large: query rows finds more than 20000 bytes of documents")
    printed = await ask(reader(store, everything, max_body=20_000))
    assert printed.error == "too_large"
    assert "at most 20000 are taken" in printed.detail
    over_two = reader(store, everything, query("users", {}, name="users"), max_documents=301)
    assert "query users finds more than 1 documents" in (await ask(over_two)).detail


async def test_what_the_server_or_the_shape_makes_nothing_of(store: MongoStore) -> None:
    bogus = await ask(reader(store, query("users", {"a": {"$bogus": 1}})))
    assert (bogus.status, bogus.error) == (None, "statement")
    assert "bogus" in bogus.detail
    spec = {"many": "rows", "fields": {"n": {"column": "name", "as": "number"}}}
    unfit = await ask(reader(store, query("users", {}), shape=spec))
    assert (unfit.error, unfit.detail) == ("statement", 'shape.fields.n: "Ann" is no number')


@pytest.mark.parametrize("document", [{"$where": "1"}, [{"$out": "x"}], {"$1": 1}, {"a": "$1"}])
def test_a_query_that_is_not_to_be_asked_makes_no_reader(document: Any) -> None:
    with pytest.raises(QueryError):
        reader(MongoStore("mongodb://127.0.0.1:1", "x"), query("users", document))


class Listener(monitoring.CommandListener, monitoring.ConnectionPoolListener):
    """What PyMongo tells of commands and connections."""

    def __init__(self) -> None:
        self.commands: list[Mapping[str, Any]] = []
        self.open = 0
        self.most = 0

    def started(self, event: Any) -> None:
        self.commands.append(dict(event.command))

    def connection_created(self, event: Any) -> None:  # noqa: ARG002 - PyMongo's interface
        self.open += 1
        self.most = max(self.most, self.open)

    def connection_closed(self, event: Any) -> None:  # noqa: ARG002 - PyMongo's interface
        self.open -= 1

    def _ignored(self, event: Any) -> None: ...

    succeeded = failed = pool_created = pool_ready = pool_cleared = pool_closed = _ignored
    connection_ready = connection_check_out_started = connection_check_out_failed = _ignored
    connection_checked_out = connection_checked_in = _ignored


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()
    client = functools.partial(AsyncIOMotorClient, event_listeners=[made])
    monkeypatch.setattr(mongo_store, "AsyncIOMotorClient", client)
    return made


async def test_the_server_is_told_of_the_deadline_and_the_preference(url: str, listener: Listener) -> None:
    store = MongoStore(url, DATABASE, connections=1, max_time=3, read_preference="secondaryPreferred")
    await store.start()
    try:
        await value(reader(store, query("users", {}), query("users", [{"$match": {}}], name="more")))
        await ask(reader(store, query("users", {})), timeout=1)
    finally:
        await store.close()
    limits = [command["maxTimeMS"] for command in listener.commands if "find" in command or "aggregate" in command]
    assert [0 < limit <= most for limit, most in zip(limits, (3000, 3000, 1000), strict=True)] == [True] * 3
    assert store._preference.mongos_mode == "secondaryPreferred"


async def test_connections_are_bounded_and_all_reads_have_their_turn(url: str, listener: Listener) -> None:
    store = MongoStore(url, DATABASE, connections=2)
    await store.start()
    try:
        asked = reader(store, query("many", {}))
        seen = await asyncio.gather(*(ask(asked) for _ in range(20)))
    finally:
        await store.close()
    assert {each.status for each in seen} == {200}
    assert listener.most == 2
    assert listener.open == 0


async def test_a_cancelled_read_is_cancelled_and_leaves_the_store_usable(store: MongoStore) -> None:
    asked = reader(store, query("many", {}))
    for _ in range(8):
        task = asyncio.ensure_future(ask(asked))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(await value(asked)) == 300


async def test_a_store_that_is_not_started_or_is_closed() -> None:
    store = MongoStore("mongodb://127.0.0.1:1", "x")
    await store.close()
    seen = await ask(reader(store, query("users", {})))
    assert (seen.error, seen.detail) == ("unreachable", "unreachable: the store has not been started, or is closed")


async def test_a_url_that_cannot_be_used_is_said_without_its_password() -> None:
    for url in ("mongodb://ann:pa/ss@127.0.0.1", "mongodb://ann:secret@127.0.0.1:port", "http://x", ""):
        with pytest.raises(MongoError, match=r"mongo\.url cannot be used") as raised:
            await MongoStore(url, "x").start()
        assert "ss" not in str(raised.value).replace("pass", "")
        assert "secret" not in str(raised.value)
        assert isinstance(raised.value, ShadowreadError)


def relaunch(supervisor: Supervisor, child: Child, port: int) -> Child:
    """The same server on the same port and data."""
    argv = list(child.command.argv)
    argv[argv.index("--port") + 1] = str(port)
    again = supervisor.spawn(dataclasses.replace(child.command, name="mongo-again", argv=argv))
    supervisor.await_ready(again, lambda: "listening on" in again.tail(), 60)
    return again


async def until(asked: MongoReader, wanted: str | None, seconds: float) -> float:
    """Read until the outcome is `wanted` (None: an answer); how long that took."""
    started = time.perf_counter()
    while (seen := await ask(asked, timeout=3)).error != wanted:
        assert time.perf_counter() - started < seconds, seen
        assert seen.error is not None
        await asyncio.sleep(0.05)
    return time.perf_counter() - started


@pytest.mark.slow
async def test_a_server_frozen_stopped_and_started_again(tmp_path: Any) -> None:
    with Supervisor(tmp_path) as own:
        server = await asyncio.to_thread(start_mongo, own)
        store = MongoStore(server.url, DATABASE, connections=2, max_time=0.5)
        await store.start()
        asked = reader(store, query("users", {}), shape={"count": "rows"})
        try:
            assert await value(asked) == 0

            os.kill(server.child.pid, signal.SIGSTOP)
            started = time.perf_counter()
            frozen = await asyncio.gather(*(ask(asked, timeout=0.7) for _ in range(6)))
            assert time.perf_counter() - started < 1.5
            assert {each.error for each in frozen} == {"timeout"}
            os.kill(server.child.pid, signal.SIGCONT)
            assert await until(asked, None, 10) < 6

            server.child.stop()
            assert await until(asked, "refused", 10) < 6
            started = time.perf_counter()
            down = await asyncio.gather(*(ask(asked, timeout=3) for _ in range(6)))
            assert time.perf_counter() - started < 2  # not the three seconds that it may take
            assert {each.error for each in down} == {"refused"}
            assert {(each.status, each.body) for each in down} == {(None, None)}

            await asyncio.to_thread(relaunch, own, server.child, server.port)
            assert await until(asked, None, 15) < 10
        finally:
            started = time.perf_counter()
            await store.close()
            assert time.perf_counter() - started < 4


async def test_nobody_listens_from_the_beginning() -> None:
    store = MongoStore("mongodb://127.0.0.1:1", "x", max_time=0.3)
    await store.start()
    try:
        with pytest.raises(MongoError, match="refused"):
            await store.ping(1)
        assert (await ask(reader(store, query("users", {})))).error == "refused"
    finally:
        await store.close()


async def test_ping(store: MongoStore) -> None:
    await store.ping(5)


@pytest.mark.parametrize("field", [b"\x02s\x00\x02\x00\x00\x00\xff\x00", b"\x06u\x00\x20x\x00", b"\x20x\x00"])
async def test_a_document_that_cannot_be_read_is_an_error(field: bytes) -> None:
    raw = (len(field) + 5).to_bytes(4, "little") + field + b"\x00"
    seen = await ask(reader(Given(raw), query("users", {})))
    assert (seen.status, seen.body, seen.error) == (None, None, "statement")
