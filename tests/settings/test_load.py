"""From a file to settings: every mistake is refused with its place, its key and what would be right."""

# ruff: noqa: E501 - a case with its message on one line reads better than one wrapped over five

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr, TypeAdapter

from proxy.errors import SettingsError
from proxy.settings import FileSource, HostPort, NamedSource, load_rules, load_settings, show
from proxy.settings.model import Settings
from proxy.settings.types import Dsn

BASE = "primary: {url: http://127.0.0.1:5001}\n"


def load(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env or {})


def problems(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, env)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listne: x\n", 'c.yaml:2: listne: unknown key; did you mean "listen"?'),
        ("qqq: x\n", "c.yaml:2: qqq: unknown key; valid here: admin, compare, domains, drain, "),
        ("shadow:\n  tiemout: 5s\n", 'c.yaml:3: shadow.tiemout: unknown key; did you mean "timeout"?'),
        ("shadow:\n  breaker: {failure: 3}\n", 'c.yaml:3: shadow.breaker.failure: unknown key; did you mean "failures"?'),
        ("mongo: {url: x}\n", "c.yaml:2: mongo.url: must be a connection string such as mongodb://127.0.0.1:27017, not the value"),
        ("mongo: {url: 'mongodb://h'}\n", "c.yaml:2: mongo.database: is required"),
        ("mongo: {url: 'mongodb://h', database: 'a b'}\n", "c.yaml:2: mongo.database: must be the name of a database"),
        ("mongo: {url: 'mongodb://h', database: a, read_preference: second}\n", "must be one of primary, primaryPreferred, secondary"),
        ("mongo: {url: '', databse: a}\n", 'c.yaml:2: mongo.databse: unknown key; did you mean "database"?'),
        ("postgres: {dsn: 'postgresql://h/d', statement_timeout: 0}\n", "c.yaml:2: postgres.statement_timeout: must be at least 0.001, not 0"),
        ("postgres: {dsn: 'postgresql://h/d', lock_timeout: 5}\n", 'postgres.lock_timeout: needs a unit: a duration such as 500ms, 5s or 2h'),
        ("postgres: {dsn: 'postgresql://h/d', connections: 0}\n", "c.yaml:2: postgres.connections: must be at least 1, not 0"),
        ("shadow: {translate_ids: true}\n", "c.yaml:2: shadow.translate_ids: needs the id map; set ids.sources"),
        (
            "domains: {a: {provenance: {primary: {path: $..mode, expect: pg}}}}\n",
            "c.yaml:2: domains.a.provenance.primary.path: must name one place; *, [*] and .. may stand for several",
        ),
        ("domains: {a: {stage: live}}\n", 'c.yaml:2: domains.a.stage: "live" is not supported in this version'),
        ('domains: {a: {stage: "ramp: 5%"}}\n', '"ramp: 5%" is not supported in this version; stages are off and shadow'),
        ("domains: {a: {stage: shadwo}}\n", 'must be one of off, shadow, not "shadwo"; did you mean "shadow"?'),
        ("listen: 8080\n", 'c.yaml:2: listen: must be host:port; did you mean "127.0.0.1:8080"?'),
        ("listen: localhost\n", 'must be host:port, as in 127.0.0.1:8080 or [::1]:8080, not "localhost"'),
        ("listen: h:70000\n", "port 70000 is out of range"),
        ("listen: [1]\n", "c.yaml:2: listen: must be host:port, not a list"),
        ("admin: {listen: 0.0.0.0:8081}\n", "c.yaml:2: admin: 0.0.0.0:8081 can be reached from other machines, so a token"),
        ("admin: {listen: '[::]:8081'}\n", "[::]:8081 can be reached from other machines"),
        ("admin: {listen: 127.0.0.1:8080}\n", "c.yaml:2: admin.listen: 127.0.0.1:8080 is also the address of listen"),
        ("shadow: {url: ftp://x}\n", 'c.yaml:2: shadow.url: must be a URL such as http://127.0.0.1:5001, not "ftp://x"'),
        ("shadow: {url: http://h/v1}\n", 'did you mean "http://h"?'),
        ("shadow: {url: http://h:99999}\n", "is not a URL: Port out of range"),
        ("shadow: {url: 'http://127.0.0.1:5001/'}\n", "c.yaml:2: shadow.url: is the primary itself"),
        ("shadow: {url: 'http://localhost:8080'}\n", "c.yaml:2: shadow.url: http://localhost:8080 is the proxy's own address"),
        ("shadow: {timeout: 5}\n", 'c.yaml:2: shadow.timeout: needs a unit: a duration such as 500ms, 5s or 2h; did you mean "5s"?'),
        ("shadow: {timeout: 5 sec}\n", 'unknown unit "sec"; durations take ms, s, m, h, d; did you mean "5s"?'),
        ("shadow: {timeout: 0}\n", "c.yaml:2: shadow.timeout: must be above 0, not 0"),
        ("shadow: {timeout: [1]}\n", "c.yaml:2: shadow.timeout: must be a duration such as 500ms, 5s or 2h, not a list"),
        ("shadow: {timeout: true}\n", "must be a duration such as 500ms, 5s or 2h, not true"),
        ("shadow: {max_concurrency: '5'}\n", 'must be a whole number, not "5"; remove the quotes'),
        ("shadow: {max_concurrency: 1.5}\n", "must be a whole number, not 1.5"),
        ("shadow: {max_concurrency: 0}\n", "must be at least 1, not 0"),
        ("shadow: 5\n", "c.yaml:2: shadow: must be a mapping, not 5"),
        ("limits: {body: 8MB}\n", 'c.yaml:2: limits.body: unknown unit "MB"; sizes take B, KiB, MiB, GiB; did you mean "8MiB"?'),
        ("limits: {body: 8}\n", 'needs a unit: a size such as 64KiB or 8MiB; did you mean "8B"?'),
        ("sampling: 1.5\n", "c.yaml:2: sampling: must be at most 1, not 1.5"),
        ("sampling: .nan\n", "c.yaml:2: sampling: must be a finite number"),
        ("sampling: all\n", 'c.yaml:2: sampling: must be a number, not "all"'),
        ("redact: [email]\n", "c.yaml:2: redact[0]: path 'email' must start with '$'; did you mean \"$..email\"?"),
        ("gate: {accept_blind: [$..]}\n", "c.yaml:2: gate.accept_blind[0]: '$..' would accept everything; name at least one field"),
        ("redact: $..email\n", 'c.yaml:2: redact: must be a list, not "$..email"'),
        ("compare: {ignroe: []}\n", 'c.yaml:2: compare.ignroe: unknown key; known are status, headers, ids, ignore'),
        ("compare: {ignroe: []}\n", 'did you mean "ignore"?'),
        ("compare:\n  ids: maped\n", 'c.yaml:3: compare.ids'),
        ("compare:\n  ids: maped\n", 'did you mean "mapped"?'),
        ("compare:\n  tolerate:\n    - {kind: numbr}\n", 'c.yaml:4: compare.tolerate[0].kind: '),
        ("compare:\n  ignore:\n    - $.ok\n    - $..*\n", "c.yaml:5: compare.ignore[1]: "),
        ("compare: 5\n", "c.yaml:2: compare: must be a mapping, not 5"),
        ("ledger: {url: 'mysql://u:pw@h/d'}\n", "c.yaml:2: ledger.url: must be an SQLite file such as sqlite:///shadowread.db"),
        ("ledger: {url: 'postgresql://u:p/w@h/d'}\n", "c.yaml:2: ledger.url: cannot be told apart into user, password, host"),
        ("ledger: {journal: run}\n", "c.yaml:2: ledger: journal is of no use with an SQLite file"),
        ("postgres: {dsn: 5}\n", "c.yaml:2: postgres.dsn: must be text, not the value given (masked); put it in quotes"),
        ("ids: {sources: [{table: 'a;b', entity: e, legacy: l, uuid: u}]}\n", "c.yaml:2: ids.sources[0].table: must be a plain SQL name"),
        ("ids: {sources: [{table: a.b.c, entity: e, legacy: l, uuid: u}]}\n", 'must be a plain SQL name: letters, digits and _, not starting'),
        ("ids: {sources: [{table: a, entity: 'e f', legacy: l, uuid: u}]}\n", 'c.yaml:2: ids.sources[0].entity: must be a plain SQL name'),
        ("ids: {sources: [{table: a, entity: e, legcy: l, uuid: u}]}\n", 'ids.sources[0].legcy: unknown key; did you mean "legacy"?'),
        ("ids: {sources: [{table: a, entity: e, legacy: l, uuid: u}]}\n", "c.yaml:2: ids.sources[0].table: a table needs a database; set postgres.dsn"),
        ("ids: {sources: [5]}\n", "c.yaml:2: ids.sources[0]: must be a mapping, not 5"),
        ("domains: {Users: {}}\n", "c.yaml:2: domains.Users: must be a domain name: small letters"),
        ("domains: {a: {flags: {X: true}}}\n", "c.yaml:2: domains.a.flags.X: must be text, not true; put it in quotes"),
        ("domains: {a: {flags: {X Y: pg}}}\n", "c.yaml:2: domains.a.flags.X Y: must be the name of an environment variable"),
        ("domains: {a: {gate: {min_comparison: 5}}}\n", 'domains.a.gate.min_comparison: unknown key; did you mean "min_comparisons"?'),
        ("domains: {a: {gate: {max_diffs: -1}}}\n", "c.yaml:2: domains.a.gate.max_diffs: must be at least 0, not -1"),
        ("domains: {a: {rollback_plan: 5}}\n", "c.yaml:2: domains.a.rollback_plan: must be text, not 5"),
        ("domains: {a: {blockers: ['']}}\n", "c.yaml:2: domains.a.blockers[0]: "),
        ("domains: {a: {routes: [GET a]}}\n", 'c.yaml:2: domains.a.routes[0]: path "a" can never match: it must start with "/"; did you mean "/a"?'),
        ("domains: {a: {routes: [{route: 5}]}}\n", "c.yaml:2: domains.a.routes[0].route: must be text, not 5; put it in quotes"),
        ("domains: {a: {routes: [{rout: GET /a}]}}\n", 'domains.a.routes[0].rout: unknown key; did you mean "route"?'),
        ("domains: {a: {routes: [POST /a]}}\n", '"POST /a" may write, and a shadow read would repeat it; write {route: "POST /a", safe: true}'),
        ("domains: {a: {routes: [{route: POST /a, safe: 'true'}]}}\n", 'must be true or false, not "true"; remove the quotes'),
        (
            "domains:\n  a:\n    routes:\n      - GET /x/{a}\n  b:\n    routes:\n      - GET /x/{b}\n",
            'c.yaml:8: domains.b.routes[0]: "GET /x/{b}" claims requests that are also claimed by "GET /x/{a}" (domains.a, line 5)',
        ),
        ("drain: ${NOPE}\n", "c.yaml:2: drain: environment variable NOPE is not set"),
        ("drain: 1s\ndrain: 2s\n", "c.yaml:3: drain: given twice; first on line 2"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused(tmp_path: Path, text: str, says: str) -> None:
    found = problems(tmp_path, BASE + text)
    assert any(says in problem for problem in found), found


def test_the_primary_is_required(tmp_path: Path) -> None:
    assert problems(tmp_path, "drain: 1s\n") == ["c.yaml:1: primary.url: is required"]
    assert problems(tmp_path, "primary:\n  forwarded: off\n") == ["c.yaml:1: primary.url: is required"]
    assert problems(tmp_path, "- 1\n") == ["c.yaml:1: must be a mapping of keys, see config/shadowread.yaml"]
    assert problems(tmp_path, "") == ["c.yaml:1: must be a mapping of keys, see config/shadowread.yaml"]


def test_every_problem_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "listne: 1\n"
        "primary: {url: x}\n"
        "sampling: ${NOPE}\n"
        "compare: {ignore: [a, b]}\n"
        "domains:\n"
        "  a:\n"
        "    routes: [GET /x, GET x]\n"
        "  b:\n"
        "    routes:\n"
        "      - GET /x\n"
    )
    keys = [problem.split(": ")[1] for problem in problems(tmp_path, text)]
    assert keys == [
        "listne", "primary.url", "sampling", "compare.ignore[0]", "compare.ignore[1]", "domains.a.routes[1]",
        "domains.b.routes[0]",
    ]  # fmt: skip


def test_no_secret_is_in_a_message(tmp_path: Path) -> None:
    text = (
        "primary: {url: 'http://user:hunter2@h:1'}\n"
        "admin: {listen: 0.0.0.0:1, token: [hunter2]}\n"
        "postgres: {dsn: 'mysql://u:hunter2@h'}\n"
        "ledger: {url: 'mysql://u:hunter2@h'}\n"
        "shadow: {url: 'http//u:${PW}@h'}\n"
        "mongo: {url: 'mongodb//u:${PW}@h', database: d}\n"
        "sampling: 'http://u:${PW}@h'\n"
    )
    found = problems(tmp_path, text, {"PW": "hunter2"})
    assert len(found) == 7
    assert "hunter2" not in "\n".join(found).replace("http//u:hunter2@h", "")


def test_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, BASE)
    assert settings.listen == HostPort("127.0.0.1", 8080)
    assert settings.primary.connect_timeout == 2.0
    assert settings.shadow.url is None
    assert settings.postgres is None
    assert settings.limits.body == 8 * 1024**2
    assert settings.settle.delay == 0.5
    assert settings.config_dir == tmp_path


def test_the_environment_takes_the_type_that_its_key_wants(tmp_path: Path) -> None:
    text = (
        "primary: {url: '${P:-http://h:1}'}\nadmin: {token: '${T}'}\nsampling: ${S:-0.25}\ndrain: ${D}\n"
        "postgres: {dsn: '${PG:-}'}\nshadow: {url: '${SH:-}', max_concurrency: '${M}'}\n"
        "gate: {min_comparisons: '${N:-7}'}\n"
        "compare: {tolerate: [{kind: number, at: $.a, epsilon: '${E}'}]}\n"
        "domains: {a: {flags: {X: '${T}'}, routes: [{route: '${R}', safe: '${B}'}]}}\n"
    )
    env = {"T": "12345", "D": "3s", "M": "9", "E": "0.5", "R": "POST /x", "B": "true"}
    settings = load(tmp_path, text, env)
    assert settings.admin.token == SecretStr("12345")
    assert (settings.sampling, settings.drain, settings.shadow.max_concurrency) == (0.25, 3.0, 9)
    assert settings.gate.min_comparisons == 7
    assert settings.compare["tolerate"][0]["epsilon"] == 0.5
    assert settings.domains["a"].flags == {"X": "12345"}
    assert settings.domains["a"].routes[0].safe is True
    assert settings.postgres is None
    assert settings.shadow.url is None
    assert "must be a whole number" in problems(tmp_path, text, {**env, "M": "many"})[0]


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, BASE + "ids: {sources: [{file: ids.json}]}\ndomains: {a: {rollback_plan: r/a.md}}\n")
    source = settings.ids.sources[0]
    assert isinstance(source, FileSource)
    assert source.file == tmp_path / "ids.json"
    assert settings.domains["a"].rollback_plan == tmp_path / "r/a.md"


def test_layers_of_a_route(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        BASE + "compare: {status: class}\nsampling: 0.5\ngate: {max_diffs: 3}\n"
        "domains:\n"
        "  a:\n"
        "    compare: {ignore: [$.a]}\n"
        "    sampling: 0.25\n"
        "    gate: {min_comparisons: 5}\n"
        "    routes:\n"
        "      - {route: 'GET  /x', compare: {ignore: [$.b]}, sampling: 0}\n"
        "      - GET /y\n"
        "  b: {routes: [GET /z]}\n",
    )
    assert settings.compare_layers("a", "GET /x") == [
        {"status": "class"},
        {"ignore": ["$.a"]},
        {"ignore": ["$.b"]},
    ]
    assert settings.compare_layers("b", "GET /z") == [{"status": "class"}, {}, {}]
    assert [settings.sampling_of(*at) for at in (("a", "GET /x"), ("a", "GET /y"), ("b", "GET /z"))] == [
        0,
        0.25,
        0.5,
    ]
    gate = settings.gate_of("a")
    assert (gate.min_comparisons, gate.max_diffs, gate.max_skip_rate) == (5, 3, 0.05)
    assert settings.gate_of("b") == settings.gate
    match = settings.router().match("GET", "/x")
    assert match is not None
    assert settings.route_of(match.domain, match.route).sampling == 0
    with pytest.raises(KeyError):
        settings.compare_layers("a", "GET /z")


def test_sources_of_ids(tmp_path: Path) -> None:
    text = "postgres: {dsn: postgresql://h/d}\nids:\n  sources:\n    - {table: public.users, entity_name: user, legacy: l, uuid: id}\n"
    source = load(tmp_path, BASE + text).ids.sources[0]
    assert source == NamedSource(table="public.users", entity_name="user", legacy="l", uuid="id")


def test_an_open_admin_site_with_a_token(tmp_path: Path) -> None:
    settings = load(tmp_path, BASE + "admin: {listen: '[::]:8081', token: abc}\n")
    assert str(settings.admin.listen) == "[::]:8081"
    assert not settings.admin.listen.loopback


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.8.9.1:1", True), ("[::1]:0", True), ("localhost:1", True), ("10.0.0.1:1", False), ("h:1", False)],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert HostPort.parse(text).loopback is loopback
    assert str(HostPort.parse(text)) == text


def test_rules_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('{"compare": {"ignore": ["$.${X}"]}}')
    assert load_rules(path, {"X": "a"}) == {"ignore": ["$.a"]}
    path.write_text("compare:\n  status: exakt\nother: 1\n")
    with pytest.raises(SettingsError) as caught:
        load_rules(path, {})
    assert len(caught.value.problems) == 2
    assert "rules.json:2: compare.status: " in caught.value.problems[0]
    assert "rules.json:3: other: unknown key" in caught.value.problems[1]
    path.write_text("ignore: []\n")
    with pytest.raises(SettingsError, match="a rules file is a mapping with one key, compare:"):
        load_rules(path, {})


def test_made_in_code_numbers_are_seconds_and_bytes() -> None:
    settings = Settings.model_validate(
        {
            "primary": {"url": "http://h:1", "connect_timeout": 0.1},
            "limits": {"body": 10},
            "domains": {"a": {"routes": ["GET /x"]}},
        }
    )
    assert (settings.primary.connect_timeout, settings.limits.body) == (0.1, 10)
    assert settings.config_dir == Path()


@pytest.mark.parametrize("password", ["s3cret#x", "s3cret@x:y", "s3/cret", "s3?cret", "12/cret"])
def test_a_password_that_would_be_read_as_a_host_or_port_is_refused_and_not_quoted(
    tmp_path: Path, password: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, BASE + f'postgres: {{dsn: "postgresql://u:{password}@127.0.0.1:5432/x"}}\n')
    assert "write @ / ? # % in a password as %40" in str(refused.value)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    ["postgres://u:a:b%40!$&'*+;=@h:1,[::1]:2/x?sslmode=require&a=", "postgresql:///x?host=/run", "postgresql://h"],
)
def test_connection_strings_that_can_be_told_apart(dsn: str) -> None:
    assert TypeAdapter(Dsn).validate_python(dsn).get_secret_value() == dsn


def test_a_ledger_in_postgres_shows_no_password(tmp_path: Path) -> None:
    text = BASE + "ledger: {url: 'postgresql://u:${PW}@h:5432/d?schema=other', journal: run}\n"
    settings = load(tmp_path, text, {"PW": "hunter2"})
    assert settings.ledger.url == "postgresql://u:hunter2@h:5432/d?schema=other"
    assert settings.ledger.journal == tmp_path / "run"
    assert show(settings)["ledger"]["url"] == "postgresql://u:***@h:5432/d?schema=other"
    assert "hunter2" not in repr(settings) + json.dumps(show(settings))
    (problem,) = problems(tmp_path, text.replace("${PW}", "${PW}/x"), {"PW": "hunter2"})
    assert "hunter2" not in problem
