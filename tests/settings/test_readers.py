"""Readers of routes: what is refused with its place, and what a file that loads tells the readers to do."""

# ruff: noqa: E501 - a case with its message on one line reads better than one wrapped over five

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from proxy.direct.parameters import Parameter
from proxy.direct.plans import Answer, MongoPlan, PostgresPlan, PostgresTypes, QueryPlan, StatementPlan
from proxy.errors import SettingsError
from proxy.model import Side
from proxy.settings import Settings, load_settings, reader_plan, reader_plans
from proxy.settings.readers import TypesSettings

STORES = (
    "postgres: {dsn: postgresql://h/d}\n"
    "mongo: {url: 'mongodb://h', database: d}\n"
    "ids: {sources: [{table: id_map, entity: e, legacy: l, uuid: u}]}\n"
)
BASE = "primary: {url: http://127.0.0.1:5001}\n" + STORES


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {})


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def routes(*written: str) -> str:
    return "domains:\n  a:\n    routes:\n" + "".join(f"      - {route}\n" for route in written)


def one(reader: str, side: str = "shadow", route: str = "GET /x/{id}", more: str = "") -> str:
    return routes(f"{{route: '{route}', {side}: {reader}{more}}}")


SQL = "postgres: {sql: 'SELECT * FROM t WHERE id = $1', params: [path.id]"
FIND = "mongo: {collection: t, find: {_id: $1}, params: [{from: path.id, type: object_id}]"


@pytest.mark.parametrize(
    ("reader", "says"),
    [
        # who is asked
        ("{}", "shadow: takes exactly one of http, postgres and mongo, and holds none"),
        ("{http: null}", "and holds none"),
        ("{http: {}, mongo: {collection: t, find: {}}}", "takes exactly one of http, postgres and mongo, and holds http and mongo"),
        ("{postgress: {}}", 'shadow.postgress: unknown key; did you mean "postgres"?'),
        ("{http: {url: x}}", "shadow.http.url: unknown key"),
        ("postgres", 'shadow: must be a mapping, not "postgres"'),
        # statements
        ("{postgres: {}}", "shadow.postgres: must hold either sql or statements"),
        ("{postgres: {sql: SELECT 1, statements: {a: {sql: SELECT 1}}}}", "shadow.postgres: must hold either sql or statements"),
        ("{postgres: {statements: {a: {sql: SELECT 1}}, params: [path.id], shape: {many: a}}}", "shadow.postgres.params: belongs to sql"),
        ("{postgres: {statements: {a b: {sql: SELECT 1}}}}", "shadow.postgres.statements.a b: must be a plain name"),
        ("{postgres: {statements: {a: {}}}}", "shadow.postgres.statements.a.sql: is required"),
        ("{postgres: {sql: 5}}", "shadow.postgres.sql: must be text, not 5; put it in quotes"),
        ("{postgres: {sql: DELETE FROM t}}", "shadow.postgres.sql: line 1"),
        ("{postgres: {sql: 'SELECT 1; DROP TABLE t'}}", "shadow.postgres.sql: "),
        ("{postgres: {sql: SELECT FROM WHERE}}", "shadow.postgres.sql: "),
        ("{postgres: {statements: {a: {sql: SELECT 1}, b: {sql: UPDATE t SET x = 1}}, shape: {many: a}}}", "shadow.postgres.statements.b.sql: "),
        ("{postgres: {sql: 'SELECT $1, $3', params: [path.id]}}", "shadow.postgres.sql: $3 has no parameter; params holds 1"),
        ("{postgres: {sql: SELECT 1, params: [path.id]}}", "shadow.postgres.params[0]: path.id is not used: there is no $1 in the statement"),
        ("{postgres: {sql: SELECT $1, params: [path.id, query.x]}}", "shadow.postgres.params[1]: query.x is not used"),
        ("{" + SQL + ", types: {numeric: float}}}", "shadow.postgres.types.numeric: must be one of text, number, not \"float\""),
        ("{" + SQL + ", types: {numerik: text}}}", 'types.numerik: unknown key; did you mean "numeric"?'),
        # parameters
        ("{postgres: {sql: SELECT $1, params: [id]}}", "shadow.postgres.params[0]: must be path.NAME, query.NAME, header.NAME or claim.NAME; did you mean \"path.id\"?"),
        ("{postgres: {sql: SELECT $1, params: [cookie.sid]}}", "must be path.NAME, query.NAME, header.NAME or claim.NAME"),
        ("{postgres: {sql: SELECT $1, params: [path.]}}", "must be path.NAME"),
        ("{postgres: {sql: SELECT $1, params: [header.a b]}}", '"a b" is not the name of a header'),
        ("{postgres: {sql: SELECT $1, params: [path.uid]}}", 'shadow.postgres.params[0]: path.uid is not a step of "GET /x/{id}", which has path.id'),
        ("{postgres: {sql: SELECT $1, params: [5]}}", "shadow.postgres.params[0]: must be a mapping, not 5"),
        ("{postgres: {sql: SELECT $1, params: [{type: int}]}}", "shadow.postgres.params[0].from: is required"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, typ: int}]}}", 'params[0].typ: unknown key; did you mean "type"?'),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, frm: x}]}}", 'params[0].frm: unknown key; did you mean "from"?'),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: integer}]}}", 'params[0].type: must be one of auto, text, int'),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: text, min: 1}]}}", "params[0].min: bounds a number, and the type is text"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, min: 5, max: 1}]}}", "params[0].max: is below min (5)"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, min: few}]}}", 'params[0].min: must be a number, not "few"'),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, default: many}]}}", "params[0].default: not an integer of 64 bits"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, default: 101, max: 100}]}}", "params[0].default: over 100"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: date, default: soon}]}}", "params[0].default: not a date"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, choices: [a, b], default: c}]}}", "params[0].default: is not one of choices"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, choices: [1, x]}]}}", "params[0].choices[1]: not an integer"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, choices: abc}]}}", "params[0].choices: must be a list, not \"abc\""),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, choices: [{a: 1}]}]}}", "params[0].choices: must be a text, a number"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, default: [1]}]}}", "params[0].default: is a list; write list: true"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, list: true, default: 1}]}}", "params[0].default: must be a list, as list is true"),
        ("{postgres: {sql: SELECT $1, params: [{from: path.id, type: int, entity: user}]}}", "params[0].entity: is for ids, and the type is int"),
        # shapes and answers
        ("{" + SQL + ", shape: {data: {one: row}}}}", 'shadow.postgres.shape: asks for rows of "row", and there are rows'),
        ("{" + SQL + ", shape: {data: {one: rows, feilds: '*'}}}}", "shadow.postgres.shape.data: `one` takes"),
        ("{" + SQL + ", shape: {data: [{one: rows, fields: {x: {column: x, as: money}}}]}}}", "shadow.postgres.shape.data[0].fields.x.as: 'money' is not one of"),
        ("{" + SQL + ", shape: {a.b: {sum: rows}}}}", "shadow.postgres.shape.a.b.sum: 'rows' is to name a statement and a column"),
        ("{" + SQL + ", shape: {many: rows, fields: {n: {param: 2}}}}}", "shadow.postgres.shape: shows parameter 2, and params of the first one holds 1"),
        ("{postgres: {statements: {a: {sql: SELECT 1}}}}", "shadow.postgres: needs a shape"),
        ("{postgres: {statements: {a: {sql: SELECT 1}, b: {sql: SELECT 2}}, shape: {many: a}}}", 'shadow.postgres.shape: does not use the rows of "b"'),
        ("{" + SQL + ", not_found: {status: 99}}}", "shadow.postgres.not_found.status: must be at least 200, not 99"),
        ("{" + SQL + ", not_found: {body: {a: .inf}}}}", "shadow.postgres.not_found.body: must hold finite numbers"),
        ("{" + SQL + ", invalid: {code: 1}}}", "shadow.postgres.invalid.code: unknown key; valid here: body, status"),
        ("{" + SQL + ", headers: {content-length: '1'}}}", "shadow.postgres.headers.content-length: belongs to the connection"),
        ("{" + SQL + ", headers: {x y: '1'}}}", "shadow.postgres.headers.x y: is not the name of a header"),
        ("{" + SQL + ', headers: {x: "a\\r\\nb: c"}}}', "shadow.postgres.headers.x: must be one line that a header can hold"),
        # queries
        ("{mongo: {}}", "shadow.mongo: must hold either collection (with find or aggregate) or queries"),
        ("{mongo: {collection: t}}", "shadow.mongo: must hold either find or aggregate, and holds neither; find: {} is all documents"),
        ("{mongo: {collection: t, find: {}, aggregate: []}}", "must hold either find or aggregate, and holds both"),
        ("{mongo: {collection: t, find: {}, queries: {a: {collection: t, find: {}}}}}", "must hold either collection"),
        ("{mongo: {find: {}, queries: {a: {collection: t, find: {}}}, shape: {many: a}}}", ""),
        ("{mongo: {find: {a: 1}, queries: {a: {collection: t, find: {}}}, shape: {many: a}}}", "shadow.mongo.find: belongs to collection"),
        ("{mongo: {queries: {a: {find: {}}}}}", "shadow.mongo.queries.a.collection: is required"),
        ("{mongo: {collection: $t, find: {}}}", "shadow.mongo.collection: must be the name of a collection"),
        ("{mongo: {collection: system.users, find: {}}}", "shadow.mongo.collection: must be the name of a collection"),
        ("{mongo: {collection: t, find: []}}", "shadow.mongo.find: must be a mapping, not a list"),
        ("{mongo: {collection: t, find: {a: $2}, params: [path.id]}}", "shadow.mongo.find: $2 has no parameter; params holds 1"),
        ("{mongo: {collection: t, find: {a: x$1}, params: [path.id]}}", "shadow.mongo.params[0]: path.id is not used: there is no $1 in the query"),
        ("{mongo: {collection: t, find: {$1: a}, params: [path.id]}}", "shadow.mongo.find.$1: a parameter is a value, never a key"),
        ("{mongo: {collection: t, find: {$where: 'true'}}}", "shadow.mongo.find.$where: $where runs JavaScript"),
        ("{mongo: {collection: t, find: {$expr: {$eq: [$owner, $1]}}, params: [path.id]}}", "shadow.mongo.find.$expr.$eq[1]: $1 would be evaluated here"),
        ("{mongo: {collection: t, aggregate: [{$project: {a: $1}}], params: [path.id]}}", "shadow.mongo.aggregate[0].$project.a: $1 would be evaluated here, where a text that starts with $ names a field; write {$literal: $1}"),
        ("{mongo: {collection: t, aggregate: [{$out: u}]}}", "shadow.mongo.aggregate[0].$out: $out writes"),
        ("{mongo: {collection: t, find: {a: $1}, projection: {a: $1}, params: [path.id]}}", "shadow.mongo.projection.a: $1 would let the client choose fields"),
        ("{mongo: {collection: t, aggregate: [{$facet: {a: [{$merge: u}]}}]}}", "shadow.mongo.aggregate[0].$facet.a[0].$merge: $merge writes"),
        ("{mongo: {collection: t, aggregate: [], limit: 5}}", "shadow.mongo.limit: is for find; a pipeline has the stage $limit"),
        ("{mongo: {collection: t, find: {}, limit: $1, params: [query.limit]}}", "shadow.mongo.params[0]: $1 is a count of documents; write type: int"),
        ("{mongo: {collection: t, find: {}, limit: -1}}", "shadow.mongo.limit: must be a whole number from 0, or a parameter such as $2, not -1"),
        ("{mongo: {collection: t, find: {}, sort: {a: down}}}", "shadow.mongo.sort.a: must be 1 (ascending) or -1 (descending)"),
        ("{mongo: {collection: t, find: {}, projection: {a: $1}, params: [path.id]}}", "shadow.mongo.params[0]: path.id is not used"),
        ("{mongo: {collection: t, find: {a: $1}, params: [{from: path.id, min: 1}]}}", "shadow.mongo.params[0]: is a text unless it has a type"),
        ("{mongo: {collection: t, find: {a: $1}, params: [path.nope]}}", "shadow.mongo.params[0]: path.nope is not a step"),
        ("{mongo: {queries: {a: {collection: t, find: {a: $1}, params: [path.nope]}}, shape: {many: a}}}", "shadow.mongo.queries.a.params[0]: path.nope"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused(tmp_path: Path, reader: str, says: str) -> None:
    if not says:
        load(tmp_path, BASE + one(reader))
        return
    found = problems(tmp_path, BASE + one(reader))
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("c.yaml:8: domains.a.routes[0].shadow") for problem in found), found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BASE + one("{" + SQL + "}}", route="PUT /x/{id}", more=", safe: true"), "routes[0].shadow: a store answers GET and HEAD, and POST and QUERY when safe, but not PUT"),
        (BASE + one("{" + SQL + "}}", route="POST /x/{id}"), '"POST /x/{id}" may write'),
        (BASE + one("{" + SQL + "}}", route="GET /x/**"), 'routes[0].shadow.postgres.params[0]: path.id is not a step of "GET /x/**", which has path.**'),
        (BASE + routes("{route: 'GET /x/{id}', primary: {" + SQL + "}}, shadow: {" + SQL + "}}}"), "routes[0].shadow: reads the same as primary, so a zero would prove nothing"),
        ("primary: {url: http://h:1}\n" + one("{" + SQL + "}}"), "c.yaml:5: domains.a.routes[0].shadow.postgres: needs a Postgres to read; set postgres.dsn"),
        ("primary: {url: http://h:1}\n" + one("{" + FIND + "}}"), "c.yaml:5: domains.a.routes[0].shadow.mongo: needs a MongoDB to read; set mongo.url and mongo.database"),
        ("primary: {url: http://h:1}\nmongo: {url: '', database: d}\n" + one("{" + FIND + "}}"), "needs a MongoDB to read"),
        (
            "primary: {url: http://h:1}\npostgres: {dsn: postgresql://h/d}\n"
            + one("{postgres: {sql: SELECT $1, params: [{from: path.id, entity: user}]}}"),
            "c.yaml:6: domains.a.routes[0].shadow.postgres.params[0].entity: is an entity of the id map, and there is none",
        ),
        (STORES + one("{" + SQL + "}}"), "c.yaml:1: primary.url: is required, unless every route has a primary reader of its own"),
        (STORES + "domains: {a: {}}\n", "c.yaml:1: primary.url: is required"),
        (
            STORES + routes("{route: 'GET /x/{id}', primary: {" + SQL + "}}}", "GET /y", "{route: GET /z, primary: {http: {}}}"),
            "c.yaml:8: domains.a.routes[1]: this route has no reader of its own and primary.url is not set",
        ),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit_together_are_refused(tmp_path: Path, text: str, says: str) -> None:
    found = problems(tmp_path, text)
    assert any(says in problem for problem in found), found


def test_a_key_written_twice(tmp_path: Path) -> None:
    text = "domains: {a: {routes: [{route: GET /x, shadow: {postgres: {sql: SELECT 1, sql: SELECT 2}}}]}}\n"
    found = problems(tmp_path, BASE + text)
    assert found == ["c.yaml:5: domains.a.routes[0].shadow.postgres.sql: given twice; first on line 5"]


def test_without_a_primary_every_route_has_its_own(tmp_path: Path) -> None:
    text = STORES + routes(
        "{route: 'GET /x/{id}', primary: {" + FIND + "}}, shadow: {" + SQL + "}}}",
        "{route: 'POST /y/{id}', safe: true, primary: {" + SQL + "}}}",
    )
    settings = load(tmp_path, text)
    assert settings.primary.url is None
    assert settings.shadow.url is None
    assert [(domain, side, type(plan)) for domain, side, plan in reader_plans(settings)] == [
        ("a", Side.PRIMARY, MongoPlan),
        ("a", Side.SHADOW, PostgresPlan),
        ("a", Side.PRIMARY, PostgresPlan),
    ]


def test_a_backend_is_asked_where_no_store_is_named(tmp_path: Path) -> None:
    settings = load(tmp_path, BASE + routes("GET /x", "{route: GET /y, shadow: {http: {}}, primary: null}"))
    assert list(reader_plans(settings)) == []
    assert reader_plan(settings, "a", "GET /y", Side.SHADOW) is None
    with pytest.raises(KeyError):
        reader_plan(settings, "a", "GET /z", Side.SHADOW)


def test_the_plan_of_a_postgres_reader(tmp_path: Path) -> None:
    text = one(
        "{postgres: {statements: {"
        "item: {sql: 'SELECT * FROM t WHERE id = $1', params: [{from: path.id, type: uuid, entity: user}]}, "
        "tags: {sql: 'SELECT * FROM u WHERE k = ANY($2) LIMIT $1', params: ["
        "{from: query.limit, type: int, default: 20, min: 1, max: 100}, "
        "{from: header.X-Tags, type: text, list: true, default: [a], choices: [a, b]}]}}, "
        "shape: {data: {one: item, fields: {id: id}}, tags: {many: tags}}, "
        "types: {numeric: number}, status: 203, not_found: {body: {ok: false}}, invalid: {status: 422, body: no}, "
        "headers: {X-From: sql}}}"
    )
    plan = reader_plan(load(tmp_path, BASE + text), "a", "GET /x/{id}", Side.SHADOW)
    assert isinstance(plan, PostgresPlan)
    assert plan.route == "GET /x/{id}"
    assert plan.statements == (
        StatementPlan("item", "SELECT * FROM t WHERE id = $1", (Parameter("path", "id", "uuid", entity="user"),)),
        StatementPlan(
            "tags",
            "SELECT * FROM u WHERE k = ANY($2) LIMIT $1",
            (
                Parameter("query", "limit", "int", 20, Decimal(1), Decimal(100), has_default=True),
                Parameter("header", "x-tags", "text", ["a"], choices=("a", "b"), is_list=True, has_default=True),
            ),
        ),
    )
    assert plan.types == PostgresTypes(numeric="number")
    assert (plan.status, plan.not_found, plan.invalid) == (203, Answer(404, {"ok": False}), Answer(422, "no"))
    assert plan.headers == (("Content-Type", "application/json; charset=utf-8"), ("X-From", "sql"))
    rows: dict[str, list[dict[str, Any]]] = {"item": [{"id": 1, "x": 2}], "tags": [{"k": "a"}]}
    assert plan.shape.lay_out(rows, []) == {"data": {"id": 1}, "tags": [{"k": "a"}]}


def test_the_short_form_and_the_shape_that_is_taken_without_one(tmp_path: Path) -> None:
    text = one("{" + SQL + ", headers: {content-type: text/json}}}")
    plan = reader_plan(load(tmp_path, BASE + text), "a", "GET /x/{id}", Side.SHADOW)
    assert isinstance(plan, PostgresPlan)
    assert [statement.name for statement in plan.statements] == ["rows"]
    assert plan.headers == (("content-type", "text/json"),)
    assert plan.shape.lay_out({"rows": [{"id": 1}]}, []) == [{"id": 1}]
    assert (plan.types, plan.not_found, plan.invalid) == (PostgresTypes(), Answer(404, None), Answer(400, None))


def test_the_plan_of_a_mongo_reader(tmp_path: Path) -> None:
    text = one(
        "{mongo: {collection: t, find: {_id: {$in: $1}, $expr: {$gt: [$n, {$literal: $3}]}}, sort: {b: -1, a: 1}, "
        "limit: $2, skip: 5, projection: {a: 1}, params: [{from: query.ids, type: object_id, list: true}, "
        "{from: query.limit, type: int, default: 20}, {from: path.id, type: int}]}}",
        "primary",
    )
    plan = reader_plan(load(tmp_path, BASE + text), "a", "GET /x/{id}", Side.PRIMARY)
    assert isinstance(plan, MongoPlan)
    assert plan.queries == (
        QueryPlan(
            name="rows",
            collection="t",
            operation="find",
            document={"_id": {"$in": "$1"}, "$expr": {"$gt": ["$n", {"$literal": "$3"}]}},
            sort=(("b", -1), ("a", 1)),
            limit="$2",
            skip=5,
            projection={"a": 1},
            parameters=(
                Parameter("query", "ids", "object_id", is_list=True),
                Parameter("query", "limit", "int", 20, has_default=True),
                Parameter("path", "id", "int"),
            ),
        ),
    )


def test_several_queries(tmp_path: Path) -> None:
    text = one(
        "{mongo: {queries: {a: {collection: t, aggregate: [{$match: {x: $1}}, {$limit: $2}], "
        "params: [path.id, {from: query.n, type: int, default: 3}]}, b: {collection: u, find: {}}}, "
        "shape: {a: {many: a}, n: {count: b}}}}"
    )
    plan = reader_plan(load(tmp_path, BASE + text), "a", "GET /x/{id}", Side.SHADOW)
    assert isinstance(plan, MongoPlan)
    assert [(query.name, query.operation, query.document) for query in plan.queries] == [
        ("a", "aggregate", [{"$match": {"x": "$1"}}, {"$limit": "$2"}]),
        ("b", "find", {}),
    ]


def test_environment_values_are_typed_in_a_query_and_a_shape(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        BASE + one("{mongo: {collection: '${C}', find: {n: '${N}'}, shape: {n: {const: '${N}'}, r: {many: rows}}}}")
    )
    plan = reader_plan(load_settings(path, {"C": "5", "N": "7"}), "a", "GET /x/{id}", Side.SHADOW)
    assert isinstance(plan, MongoPlan)
    assert (plan.queries[0].collection, plan.queries[0].document) == ("5", {"n": 7})
    assert plan.shape.lay_out({"rows": []}, []) == {"n": 7, "r": []}


def test_the_types_are_those_that_the_reader_knows() -> None:
    assert TypesSettings().model_dump() == dataclasses.asdict(PostgresTypes())
    words = {name: set(get_args(kind)) for name, kind in get_type_hints(PostgresTypes).items()}
    assert words == {name: set(get_args(kind)) for name, kind in get_type_hints(TypesSettings).items() if name in words}


def test_what_only_the_answer_shows_is_used(tmp_path: Path) -> None:
    text = "{mongo: {collection: t, find: {}, params: [{from: query.page, type: int}], shape: {page: {param: 1}, data: {many: rows}}}}"
    plan = reader_plan(load(tmp_path, BASE + one(text)), "a", "GET /x/{id}", Side.SHADOW)
    assert isinstance(plan, MongoPlan)
    assert plan.shape.lay_out({"rows": []}, [3]) == {"page": 3, "data": []}
