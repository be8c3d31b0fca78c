"""`check` of direct readers: against a real Postgres, the MongoDB-wire server, and a backend on a socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pymongo
import pytest
from bson import ObjectId
from pydantic import SecretStr

from comparators.ids import IdPair
from proxy.cli.known_ids import known_pairs, targets, unknown_steps
from proxy.cli.mask import Mask
from proxy.direct.parameters import Parameter
from proxy.settings import MongoSettings, PostgresSettings, load_settings
from proxy.settings.patterns import parse_route
from tests.admin.recorded import configure
from tests.cli.conftest import Run

ANN = "64b000000000000000000001"
ANN_UUID = "01970000-0000-7000-8000-000000000001"
BOB = "64b000000000000000000002"
GONE = "64b000000000000000000009"
TABLES = """
CREATE TABLE id_map (entity text, legacy_id char(24), new_id uuid, PRIMARY KEY (entity, legacy_id));
CREATE TABLE people (id uuid PRIMARY KEY, name text, email text, balance numeric, internal int);
CREATE TABLE events (id int PRIMARY KEY, kind text);
INSERT INTO id_map VALUES
  ('order', '64b000000000000000000009', '01970000-0000-7000-8000-000000000009'),
  ('person', '64b000000000000000000001', '01970000-0000-7000-8000-000000000001'),
  ('person', '64b000000000000000000002', '01970000-0000-7000-8000-000000000002');
INSERT INTO people VALUES
  ('01970000-0000-7000-8000-000000000001', 'Ann', 'ann@example.org', 10.50, 1),
  ('01970000-0000-7000-8000-000000000002', 'Bob', NULL, 7, 2);
INSERT INTO events SELECT n, 'kind ' || n FROM generate_series(1, 12000) AS n;
ANALYZE;
"""
FIELDS = "fields: {id: id, name: name, email: email, balance: balance}"
PERSON = """
      - route: "GET /api/people/{id}"
        shadow: {postgres: {
          sql: "SELECT id, name, email, balance, internal FROM people WHERE id = $1",
          params: [path.id],
          shape: {one: rows, fields: {id: id, name: name, email: email, balance: balance}}}}
"""
LIST = """
      - route: GET /api/events
        shadow: {postgres: {
          sql: "SELECT id, kind FROM events WHERE kind >= $2 ORDER BY kind LIMIT $1",
          params: [{from: query.limit, default: 2, max: 10}, {from: query.kind, default: "kind 2"}]}}
"""


@dataclass
class Backend:
    """A backend on a socket. `answers` holds status and body by path; the last requests are in `asked`."""

    port: int = 0
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    token: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend(
        answers={
            f"/api/people/{ANN}": (200, {"id": ANN, "name": "Ann", "email": "ann@example.org", "balance": "10.50"}),
            "/api/events": (200, [{"id": 2, "kind": "kind 2"}, {"id": 20, "kind": "kind 20"}]),
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            status, body = made.answers.get(self.path.partition("?")[0], (404, {"error": "not found"}))
            if made.token and self.headers["Authorization"] != f"Bearer {made.token}":
                status, body = 401, {"error": "who are you"}
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


Configure: TypeAlias = Callable[..., Path]


@pytest.fixture
def tables(pg_database: str) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(pg_database)
        await connection.execute(TABLES)
        await connection.close()

    asyncio.run(make())
    return pg_database


@pytest.fixture
def configured(tmp_path: Path, tables: str, backend: Backend) -> Configure:
    """Write a configuration with these routes, on the tables and the backend of this test."""

    def write(routes: str, more: str = "", *, dsn: str = tables, primary: bool = True) -> Path:
        path = tmp_path / "direct.yaml"
        url = f'primary: {{url: "http://127.0.0.1:{backend.port}"}}\n' if primary else ""
        path.write_text(
            f'{url}postgres: {{dsn: "{dsn}"}}\nledger: {{url: "sqlite:///{tmp_path}/ledger.db"}}\n'
            "ids: {sources: [{table: id_map, entity: entity, legacy: legacy_id, uuid: new_id}]}\n"
            f"{more}\ndomains:\n  people:\n    routes:{routes}"
        )
        return path

    return write


def seen(output: str, name: str) -> list[tuple[bool, str, str]]:
    """The lines of one kind: whether all is well, where, and what was found."""
    return [(one["ok"], one["where"], one["detail"]) for one in json.loads(output)["checks"] if one["name"] == name]


def test_a_statement_is_proved_and_both_sides_are_shown(run: Run, configured: Configure, backend: Backend) -> None:
    config = configured(PERSON)
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 0, result.output
    [proof] = json.loads(result.output)["readers"]
    assert (proof["domain"], proof["route"]) == ("people", "GET /api/people/{id}")
    [statement] = proof["statements"]
    assert statement == {
        "side": "shadow",
        "store": "postgres",
        "name": "rows",
        "parameters": [{"number": 1, "from": "path.id", "type": "uuid"}],
        "columns": [
            {"name": "id", "type": "uuid", "used": True},
            {"name": "name", "type": "text", "used": True},
            {"name": "email", "type": "text", "used": True},
            {"name": "balance", "type": "numeric", "used": True},
            {"name": "internal", "type": "int4", "used": False},
        ],
        "plan": [],
    }
    [trial] = proof["trials"]
    assert trial["target"] == f"/api/people/{ANN}", "the entity whose name is like the path's comes first"
    assert trial["entity"] == "person"
    assert trial["verdict"] == "match"
    assert trial["primary"]["body"]["id"] == ANN
    assert trial["shadow"] == {
        "reader": "postgres",
        "status": 200,
        "body": {"id": ANN_UUID, "name": "Ann", "email": "ann@example.org", "balance": "10.50"},
        "cut": False,
        "detail": "",
    }
    place = "people: GET /api/people/{id}: shadow.rows"
    assert seen(result.output, "statement") == [
        (True, place, "1 parameter, 5 columns"),
        (True, place, "given and never used: internal"),
    ]
    assert backend.asked == [f"/api/people/{ANN}"]
    text = run("check", "-c", config).output
    assert "$1  path.id  uuid" in text
    assert "shadow  postgres 200 {" in text
    assert "internal int4 (not used)" in text
    assert text.endswith("all is well\n")


def test_a_difference_is_a_note(run: Run, configured: Configure, backend: Backend) -> None:
    backend.answers[f"/api/people/{ANN}"][1]["name"] = "Anna"
    result = run("check", "-c", configured(PERSON), "--json")
    assert result.exit_code == 0, result.output
    [trial] = json.loads(result.output)["readers"][0]["trials"]
    assert trial["verdict"] == "diff"
    assert trial["differences"] == [{"path": "$.name", "kind": "value_changed", "primary": "Anna", "shadow": "Ann"}]
    [(ok, _, detail)] = seen(result.output, "verdict")
    assert ok
    assert detail == "diff: 1 difference, which is a note and no problem of the configuration"
    assert '$.name  value_changed  "Anna" -> "Ann"' in run("check", "-c", configured(PERSON)).output


def test_the_rules_of_the_route_hold(run: Run, configured: Configure, backend: Backend) -> None:
    backend.answers[f"/api/people/{ANN}"][1]["name"] = "Anna"
    config = configured(PERSON.replace("shadow:", "compare: {ignore: [$.name]}\n        shadow:"))
    result = run("check", "-c", config, "--json")
    assert json.loads(result.output)["readers"][0]["trials"][0]["verdict"] == "match"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("balance, internal", "internal", "no column balance"),
        ("SELECT id,", "SELECT nextval('s') AS n, id,", "nextval"),
        ("FROM people", "FROM persons", "persons"),
        ("id = $1", "id = $1::no_such_type", "no_such_type"),
        ("id = $1", "id = $1 AND internal > (random() * 3)::int", "random"),
    ],
)
def test_a_statement_that_cannot_be_run_is_a_problem(
    run: Run, configured: Configure, backend: Backend, old: str, new: str, told: str
) -> None:
    result = run("check", "-c", configured(PERSON.replace(old, new)), "--json")
    assert result.exit_code == 2
    [(ok, where, detail)] = seen(result.output, "statement")
    assert not ok
    assert where == "people: GET /api/people/{id}: shadow"
    assert told in detail
    assert backend.asked == []


def test_nothing_secret_is_shown(run: Run, configured: Configure, tables: str, backend: Backend) -> None:
    backend.token = "a-callers-secret"
    backend.answers[f"/api/people/{ANN}"][1]["email"] = "Ann@example.org"
    password = tables.partition("@")[0].rpartition(":")[2]
    backend.answers[f"/api/people/{ANN}"][1]["name"] = f"leaks {password} and {backend.token}"
    config = configured(PERSON, "redact: [$.email]")
    for form in ([], ["--json"]):
        result = run("check", "-c", config, "-H", f"Authorization: Bearer {backend.token}", *form)
        assert result.exit_code == 0, result.output
        assert "diff" in result.output
        assert "[redacted " in result.output
        assert "leaks *** and ***" in result.output
        for secret in ("example.org", password, backend.token):
            assert secret not in result.output


def test_a_backend_that_wants_a_caller(run: Run, configured: Configure, backend: Backend) -> None:
    backend.token = "a-callers-secret"
    config = configured(PERSON)
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 0
    assert len(backend.asked) == 1, "one refusal is enough"
    details = [detail for _, _, detail in seen(result.output, "verdict")]
    assert details == ["the backend refuses the request without a caller it knows"]
    result = run("check", "-c", config, "--json", "--header", "Authorization: Bearer a-callers-secret")
    assert [detail for _, _, detail in seen(result.output, "verdict")] == ["match"]
    assert run("check", "-c", config, "-H", "no header").exit_code == 2


def test_a_store_that_is_away_is_one_problem(run: Run, configured: Configure, tables: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    password = tables.partition("@")[0].rpartition(":")[2]
    config = configured(PERSON + LIST, dsn=f"postgresql://shadowread:{password}@127.0.0.1:{nobody}/x")
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 2
    assert [ok for ok, _, _ in seen(result.output, "postgres")] == [False]
    assert [ok for ok, _, _ in seen(result.output, "reader")] == [True, True]
    assert json.loads(result.output)["readers"] == []
    assert password not in result.output


def test_ids_that_find_nothing_are_told(run: Run, configured: Configure, tables: str) -> None:
    async def empty() -> None:
        connection = await asyncpg.connect(tables)
        await connection.execute("DELETE FROM people")
        await connection.close()

    asyncio.run(empty())
    result = run("check", "-c", configured(PERSON), "--json")
    assert result.exit_code == 0
    [(ok, _, detail)] = seen(result.output, "verdict")
    assert ok
    assert detail.startswith("diff: ")
    assert detail.endswith("; but no id of the id map that was tried is found")


def test_targets_are_tried_in_the_place_of_known_ids(run: Run, configured: Configure, backend: Backend) -> None:
    config = configured(PERSON + LIST)
    backend.answers[f"/api/people/{BOB}"] = (200, {"id": BOB, "name": "Bob", "email": None, "balance": "7"})
    given = ("--target", f"/api/people/{BOB}", "--target", f"/api/people/{GONE}?token=hush")
    result = run("check", "-c", config, "--json", *given)
    assert result.exit_code == 0, result.output
    person, events = json.loads(result.output)["readers"]
    assert [(one["target"].partition("=")[0], one["shadow"]["status"]) for one in person["trials"]] == [
        (f"/api/people/{BOB}", 200),
        (f"/api/people/{GONE}?token", 404),
    ]
    assert "hush" not in result.output
    assert [one["target"] for one in events["trials"]] == ["/api/events"]
    result = run("check", "-c", config, "--json", "--target", "/api/nobody")
    assert result.exit_code == 2
    assert seen(result.output, "target") == [(False, "/api/nobody", "no route claims it")]


def test_plans_warn_of_large_tables_that_are_read_whole(run: Run, configured: Configure) -> None:
    unknown = PERSON.replace("/people/{id}", "/events/{n}").replace(
        "SELECT id, name, email, balance, internal FROM people WHERE id = $1",
        "SELECT id, kind FROM events WHERE id = $1::date - DATE '2020-01-01'",
    )
    unknown = unknown.replace("path.id", "{from: path.n, type: date}").replace(FIELDS, "fields: [id, kind]")
    result = run("check", "-c", configured(PERSON + LIST + unknown), "--json", "--explain")
    assert result.exit_code == 0, result.output
    person, events, one = json.loads(result.output)["readers"]
    assert any("Seq Scan on events" in node for node in events["statements"][0]["plan"])
    assert person["statements"][0]["plan"], "a small table may be read whole"
    assert one["trials"] == []
    assert any("events_pkey" in node for node in one["statements"][0]["plan"])
    [(ok, where, detail)] = seen(result.output, "plan")
    assert ok
    assert where == "people: GET /api/events: shadow.rows"
    assert detail == "reads all of events (about 12,000 rows)"
    assert "plan" not in {
        one["name"] for one in json.loads(run("check", "-c", configured(LIST), "--json").output)["checks"]
    }


@pytest.fixture(scope="module")
def documents(mongo_url: str) -> Iterator[tuple[str, str]]:
    """A database with people and many events; its server and its name."""
    name = f"check_{uuid.uuid4().hex[:12]}"
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    client[name].people.insert_one({"_id": ObjectId(ANN), "name": "Ann", "email": "ann@example.org", "n": 10.5})
    client[name].events.insert_many([{"_id": n, "kind": f"kind {n}"} for n in range(1, 10_002)])
    yield mongo_url, name
    client.drop_database(name)
    client.close()


def test_two_stores_and_no_backend(run: Run, configured: Configure, documents: tuple[str, str]) -> None:
    url, database = documents
    both = PERSON + (
        "        primary: {mongo: {collection: people, find: {_id: $1}, params: [{from: path.id, type: object_id}],\n"
        "          shape: {one: rows, fields: {id: _id, name: name, email: email, balance: {const: '10.50'}}}}}\n"
    )
    events = LIST + (
        "        primary: {mongo: {collection: events, find: {kind: {$gte: $2}}, sort: {kind: 1}, limit: $1,\n"
        "          params: [{from: query.limit, type: int, default: 2}, {from: query.kind, default: 'kind 2'}],\n"
        "          shape: {many: rows, fields: {id: _id, kind: kind}}}}\n"
    )
    config = configured(both + events, f"mongo: {{url: '{url}', database: {database}}}", primary=False)
    result = run("check", "-c", config, "--json", "--explain")
    assert result.exit_code == 0, result.output
    assert seen(result.output, "primary") == [(True, "primary.url", "not set; every route is read from a store")]
    assert seen(result.output, "mongo") == [(True, "mongo.url", "reached")]
    one, many = json.loads(result.output)["readers"]
    assert one["statements"][0]["side"] == "primary"
    assert one["statements"][0]["parameters"] == [{"number": 1, "from": "path.id", "type": "object_id"}]
    assert [trial["verdict"] for trial in one["trials"] + many["trials"]] == ["match", "match"]
    assert one["trials"][0]["primary"]["reader"] == "mongo"
    assert ("people: GET /api/events: primary.rows", "reads all of events (about 10,001 rows)") in [
        (where, detail) for _, where, detail in seen(result.output, "plan")
    ]


def test_a_mongo_that_is_away(run: Run, configured: Configure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    routes = (
        "\n      - route: GET /api/events\n"
        "        primary: {mongo: {collection: events, find: {}}}\n"
        "        shadow: {postgres: {sql: SELECT id FROM events LIMIT 1}}\n"
    )
    more = f"mongo: {{url: 'mongodb://someone:a-secret-word@127.0.0.1:{nobody}', database: d}}"
    result = run("check", "-c", configured(routes, more, primary=False), "--json")
    assert result.exit_code == 2
    assert [ok for ok, _, _ in seen(result.output, "mongo")] == [False]
    assert "a-secret-word" not in result.output


def test_fields_that_no_document_has_are_told(run: Run, configured: Configure, documents: tuple[str, str]) -> None:
    url, database = documents
    routes = PERSON + (
        "        primary: {mongo: {collection: people, find: {_id: $1}, params: [{from: path.id, type: object_id}],\n"
        "          shape: {one: rows, fields: {id: _id, name: fullName, email: email, balance: n}}}}\n"
    )
    more = f"mongo: {{url: '{url}', database: {database}}}"
    result = run("check", "-c", configured(routes, more, primary=False), "--json")
    assert result.exit_code == 0, result.output
    place = "people: GET /api/people/{id}: primary.rows"
    assert (True, place, "the shape names fullName, which no document found has") in seen(result.output, "statement")
    [query] = [one for one in json.loads(result.output)["readers"][0]["statements"] if one["store"] == "mongo"]
    assert {"name": "name", "type": "str", "used": False} in query["columns"]
    assert {"name": "_id", "type": "ObjectId", "used": True} in query["columns"]


def test_a_twin_is_asked_with_translated_ids(
    run: Run, configured: Configure, backend: Backend, documents: tuple[str, str]
) -> None:
    url, database = documents
    backend.answers = {f"/api/people/{ANN_UUID}": (200, {"id": ANN_UUID, "name": "Ann"})}
    routes = """
      - route: "GET /api/people/{id}"
        primary: {mongo: {collection: people, find: {_id: $1}, params: [{from: path.id, type: object_id}],
          shape: {one: rows, fields: {id: _id, name: name}}}}
"""
    shadow = f"shadow: {{url: 'http://127.0.0.1:{backend.port}', translate_ids: true}}"
    more = f"{shadow}\nmongo: {{url: '{url}', database: {database}}}"
    result = run("check", "-c", configured(routes, more, primary=False), "--json")
    assert result.exit_code == 0, result.output
    [trial] = json.loads(result.output)["readers"][0]["trials"]
    assert (trial["target"], trial["verdict"]) == (f"/api/people/{ANN}", "match")
    assert backend.asked == [f"/api/people/{ANN_UUID}"]


def test_a_domain_that_is_off_is_proved_too(run: Run, configured: Configure) -> None:
    config = configured(PERSON)
    config.write_text(config.read_text().replace("  people:\n", '  people:\n    stage: "off"\n'))
    result = run("check", "-c", config, "--json")
    assert [detail for _, _, detail in seen(result.output, "verdict")] == ["match"]


def test_what_cannot_be_tried_is_said(run: Run, configured: Configure, backend: Backend) -> None:
    routes = PERSON.replace("GET ", "POST ").replace("shadow:", "safe: true\n        shadow:")
    result = run("check", "-c", configured(routes), "--json")
    assert [detail for _, _, detail in seen(result.output, "verdict")] == [
        "not run: a POST is not tried, as its body is not known"
    ]
    with_date = LIST.replace("/api/events", "/api/events/{day}")
    with_date = with_date.replace("{from: query.limit, default: 2, max: 10}", "query.limit").replace(
        "kind >= $2", "kind >= $2 AND $3::date < now()"
    )
    with_date = with_date.replace('default: "kind 2"}', 'default: "kind 2"}, {from: path.day, type: date}')
    result = run("check", "-c", configured(with_date), "--json")
    assert [detail for _, _, detail in seen(result.output, "verdict")] == [
        "not run: no value is known of day in the path"
    ]
    assert backend.asked == []


PAIRS = [
    IdPair("order", f"{1:024x}", f"00000000-0000-7000-8000-{1:012x}"),
    *(IdPair("user", f"{n:024x}", f"00000000-0000-7000-8000-{n:012x}") for n in range(2, 30)),
]


@pytest.mark.parametrize(
    ("route", "parameters", "first", "count"),
    [
        ("GET /api/users/{id}", [Parameter("path", "id")], f"/api/users/{2:024x}", 8),
        ("GET /api/orders/{id}", [Parameter("path", "id", "uuid")], f"/api/orders/{1:024x}", 8),
        ("GET /api/orders/{id}", [Parameter("path", "id", entity="user")], f"/api/orders/{2:024x}", 56),
        ("GET /api/shops/{userId}", [], f"/api/shops/{2:024x}", 8),
        ("GET /api/levels/{n}", [Parameter("path", "n", "int", minimum=Decimal(3))], "/api/levels/3", 5),
        ("GET /api/kinds/{k}", [Parameter("path", "k", "text", choices=("a b", "c"))], "/api/kinds/a%20b", 2),
        ("GET /api/users", [], "/api/users", 1),
        ("GET /", [], "/", 1),
    ],
)
def test_targets_of_a_route(route: str, parameters: list[Parameter], first: str, count: int) -> None:
    made = targets(parse_route(route), parameters, PAIRS)
    assert made[0].text == first
    assert len(made) == count
    assert len({target.text for target in made}) == count


@pytest.mark.parametrize("route", ["GET /api/days/{day}", "GET /api/files/**"])
def test_a_route_of_which_no_request_is_known(route: str) -> None:
    parameters = [Parameter("path", "day", "date")]
    assert targets(parse_route(route), parameters, PAIRS) == []
    assert unknown_steps(parse_route(route), parameters, PAIRS) == [route.rpartition("/")[2].strip("{}")]


def test_secrets_are_masked_in_every_spelling(tmp_path: Path) -> None:
    settings = load_settings(configure(tmp_path, token="admins-own"), {}).model_copy(
        update={
            "postgres": PostgresSettings(dsn=SecretStr("postgresql://u:per%2Fcent@h/d?sslpassword=key-word")),
            "mongo": MongoSettings(url=SecretStr("mongodb://u:mongo-word@h1,h2/d"), database="d"),
        }
    )
    mask = Mask.of(settings, ((b"Authorization", b"Bearer abc.def"), (b"Accept", b"application/json")))
    text = "per%2Fcent per/cent key-word mongo-word admins-own abc.def application/json"
    assert mask.hide({text: [text, 1, None]}) == {
        "*** *** *** *** *** *** application/json": ["*** *** *** *** *** *** application/json", 1, None]
    }


async def test_known_pairs_come_from_every_kind_of_source(tmp_path: Path, pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(TABLES)
    await connection.execute("CREATE TABLE half (legacy text, id uuid); INSERT INTO half VALUES ('x', NULL)")
    await connection.close()
    own = {"entity": "shop", "legacy": "0" * 24, "uuid": "00000000-0000-7000-8000-000000000000"}
    (tmp_path / "ids.json").write_text(json.dumps([own]))
    path = tmp_path / "ids.yaml"
    path.write_text(
        f'primary: {{url: "http://127.0.0.1:1"}}\npostgres: {{dsn: "{pg_database}"}}\nids: {{sources: [\n'
        "{table: id_map, entity: entity, legacy: legacy_id, uuid: new_id}, {file: ids.json},\n"
        "{table: half, entity_name: half, legacy: legacy, uuid: id}, {file: none.json},\n"
        "{table: none, entity_name: none, legacy: legacy, uuid: id},\n"
        "{table: id_map, entity_name: again, legacy: legacy_id, uuid: new_id}]}\n"
    )
    pairs = await known_pairs(load_settings(path, {}))
    assert sorted({(pair.entity, pair.legacy[-1]) for pair in pairs}) == [
        *(("again", "1"), ("again", "2"), ("again", "9")),
        *(("order", "9"), ("person", "1"), ("person", "2"), ("shop", "0")),
    ]
