"""What the admin port answers, and to whom."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from proxy.admin import Evidence
from proxy.admin.guard import SECURITY_FIELDS
from proxy.errors import LedgerError
from proxy.ledger import LedgerReader
from proxy.model import Verdict
from proxy.settings import load_settings
from tests.admin.conftest import TOKEN, Site
from tests.admin.recorded import AT, DAY, HUGE, SAME_STORE, configure, date_rules, recorded

# One real path for every endpoint: an endpoint that is not in here fails the test below it.
JSON, HTML = "application/json", "text/html"
PLANTED = {
    "/": ("/", HTML),
    "/domains/{name}": ("/domains/users", HTML),
    "/findings": ("/findings", HTML),
    "/findings/{id}": ("/findings/{finding}", HTML),
    "/traces": ("/traces", HTML),
    "/traces/{id}": ("/traces/trace0001", HTML),
    "/traces/{id}/rows": ("/traces/trace0001/rows?path=$", HTML),
    "/live": ("/live", HTML),
    "/decisions": ("/decisions", HTML),
    "/decisions/{seq}": ("/decisions/1", HTML),
    "/login": ("/login", HTML),
    "/static/{name}": ("/static/base.css", "text/css"),
    "/healthz": ("/healthz", JSON),
    "/readyz": ("/readyz", JSON),
    "/metrics": ("/metrics", "text/plain"),
    "/api/v1/domains": ("/api/v1/domains", JSON),
    "/api/v1/domains/{name}": ("/api/v1/domains/users", JSON),
    "/api/v1/findings": ("/api/v1/findings?domain=payments&limit=5", JSON),
    "/api/v1/findings/{id}": ("/api/v1/findings/{finding}", JSON),
    "/api/v1/traces": ("/api/v1/traces?domain=payments&limit=2", JSON),
    "/api/v1/traces/{id}": ("/api/v1/traces/trace0001", JSON),
    "/api/v1/traces/{id}/tree": ("/api/v1/traces/trace0001/tree", JSON),
    "/api/v1/gates/{domain}": ("/api/v1/gates/users", JSON),
    "/api/v1/decisions": ("/api/v1/decisions?limit=5", JSON),
    "/api/v1/decisions/{seq}": ("/api/v1/decisions/1", JSON),
    "/api/v1/live": ("/api/v1/live", JSON),
    "/api/v1/openapi.json": ("/api/v1/openapi.json", JSON),
    "/api/v1/events": ("/api/v1/events", "text/event-stream"),
}
OPEN = {"/healthz", "/readyz", "/login", "/static/{name}"}


async def test_every_endpoint_is_planted(site: Site) -> None:
    assert set(site.site.endpoints()) == set(PLANTED)


async def test_an_endpoint_answers_its_owner_and_nobody_else(site: Site) -> None:
    for endpoint in PLANTED:
        path, content_type = await planted(site, endpoint)
        answer = await site.get(path, Authorization="" if endpoint in OPEN else f"Bearer {TOKEN}")
        assert (answer.status, answer.content_type) == (200, content_type), endpoint
        for name, value in SECURITY_FIELDS.items():
            assert answer.headers[name] == value
        assert answer.headers["Cache-Control"] == ("no-cache" if endpoint == "/static/{name}" else "no-store")
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert ("script-src" in policy) == (content_type == HTML)
        answer.close()

        for wrong in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00fc"):
            answer = await site.get(path, Authorization=wrong)
            assert answer.status == (200 if endpoint in OPEN else 401), endpoint
        if endpoint not in OPEN:
            assert answer.content_type == "application/problem+json"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await answer.json(content_type=None))["status"] == 401


async def planted(site: Site, endpoint: str) -> tuple[str, str]:
    path, content_type = PLANTED[endpoint]
    if "{finding}" in path:
        (finding, *_) = await site.ledger.findings("payments")
        path = path.replace("{finding}", finding.id)
    if "decisions" in path:
        await site.get("/api/v1/gates/users")
    return path, content_type


WRONG = (
    ("/nowhere", 404, "/nowhere"),
    ("/api/v1/domains/user", 404, "did you mean users?"),
    ("/api/v1/gates/nothing", 404, "nothing"),
    ("/api/v1/traces/none", 404, "none"),
    ("/api/v1/findings?domain=nope", 404, "nope"),
    ("/api/v1/findings?limit=0", 400, "limit"),
    ("/api/v1/findings?limit=%C2%B2", 400, "limit"),
    ("/api/v1/findings?limits=5", 400, "known are domain, state"),
    ("/api/v1/traces?limit=5&limit=6", 400, "more than once"),
    ("/api/v1/findings?state=odd", 400, "open, gone"),
    ("/api/v1/findings?sort=-size", 400, "exchanges, differences"),
    ("/api/v1/findings/none", 404, "none"),
    ("/api/v1/traces?verdict=odd", 400, "match, diff"),
    ("/api/v1/decisions?state=odd", 400, "open, closed"),
    ("/api/v1/decisions?before=x", 400, "number"),
    ("/api/v1/decisions/7", 404, "7"),
    ("/api/v1/decisions/x", 400, "number"),
    ("/api/v1/live?since=5", 400, "since"),
    ("/api/v1/live?domain=nope", 404, "nope"),
    ("/api/v1/events?tail=yes", 400, "tail"),
    ("/api/v1/domains?x=1", 400, "takes none"),
    ("/api/v1/traces?before=rubbish", 400, "rubbish"),
)


async def test_errors_have_one_shape(site: Site) -> None:
    for path, status, says in WRONG:
        answer = await site.get(path)
        body = await answer.json(content_type=None)
        assert (answer.status, answer.content_type) == (status, "application/problem+json"), path
        assert set(body) == {"type", "title", "status", "detail"}
        assert (body["type"], body["status"]) == ("about:blank", status)
        assert says in body["detail"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_other_methods_are_refused_and_decide_nothing(site: Site) -> None:
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        answer = await site.get("/api/v1/gates/users", method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert await site.ledger.decisions() == []
    assert (await site.get("/healthz", method="HEAD")).status == 200


async def test_on_loopback_only_local_names_are_served(site: Site) -> None:
    for host, status in (
        ("localhost:8081", 200),
        ("127.0.0.1", 200),
        ("[::1]:8081", 200),
        ("LOCALHOST.", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("192.168.1.1", 421),
        ("[", 421),
    ):
        assert (await site.get("/api/v1/domains", Host=host)).status == status, host


async def test_the_domains_object(site: Site) -> None:
    content = await (await site.get("/api/v1/domains")).json()
    assert [domain["name"] for domain in content["domains"]] == ["users", "payments", "chat"]
    users, payments, chat = content["domains"]
    assert list(users) == [
        "name", "stage", "observed", "comparisons", "verdicts", "diff_rate", "upper_bound",
        "entities", "last_diff_at", "gate", "reasons", "provenance", "window", "observed_seconds",
        "latency_ratio", "coverage", "history",
    ]  # fmt: skip
    assert (users["stage"], users["observed"], users["comparisons"]) == ("shadow", 31, 30)
    assert users["verdicts"] == {
        **{verdict.value: 0 for verdict in Verdict},
        "match": 30,
        "skipped:not_sampled": 1,
    }
    assert (users["diff_rate"], users["gate"], users["reasons"]) == (0.0, "open", [])
    assert (payments["observed"], payments["comparisons"], payments["diff_rate"]) == (4, 3, 1.0)
    assert payments["gate"] == "closed"
    assert any("amounts are floats" in reason for reason in payments["reasons"])
    assert payments["last_diff_at"].startswith("2026-05-01T12:00")
    assert (chat["observed"], chat["diff_rate"], chat["upper_bound"]) == (0, None, None)
    assert chat["gate"] == "closed"
    assert [one["provenance"] for one in content["domains"]] == ["proven", "proven", "unproven"]
    assert SAME_STORE in chat["reasons"][0]
    assert users["window"]["parts"]["shadow"] == "1.0, postgres"
    assert users["window"]["started_at"] == (AT - 2 * DAY).isoformat()
    assert users["observed_seconds"] == DAY.total_seconds()
    assert users["latency_ratio"] == pytest.approx(1.5, rel=0.1)
    assert chat["latency_ratio"] is None
    coverage = users["coverage"]
    assert (coverage["routes_known"], coverage["routes_compared"]) == (2, 2)
    assert (coverage["fields_known"], coverage["fields_not_verified"]) == (2, 1)
    assert (coverage["entities_known"], coverage["entities_verified"], coverage["entities_share"]) == (15, 15, 1.0)
    assert [(one["entity"], one["known"], one["share"]) for one in coverage["entities"]] == [
        ("user", 15, 1.0),
        ("", None, None),
    ]
    assert (chat["coverage"]["routes_compared"], chat["coverage"]["entities"]) == (0, [])
    ten = timedelta(minutes=10)
    for one in content["domains"]:
        moments = [datetime.fromisoformat(bucket["at"]) for bucket in one["history"]]
        assert moments == [AT.replace(second=0) - ten * back for back in range(35, -1, -1)]
        assert not any(bucket["comparisons"] for bucket in one["history"][:-1])
    counts = [{k: v for k, v in one["history"][-1].items() if k != "at"} for one in content["domains"]]
    assert counts == [
        {"comparisons": 30, "diffs": 0, "failed": 0},
        {"comparisons": 3, "diffs": 3, "failed": 1},
        {"comparisons": 0, "diffs": 0, "failed": 0},
    ]


async def test_one_domain_in_detail(site: Site) -> None:
    content = await (await site.get("/api/v1/domains/payments")).json()
    summary = (await (await site.get("/api/v1/domains")).json())["domains"][1]
    whole = content | {"coverage": {name: content["coverage"][name] for name in summary["coverage"]}}
    assert {key: whole[key] for key in summary} == summary
    assert [route["route"] for route in content["routes"]] == ["GET /api/payments"]
    route = {"route": "GET /api/payments"}
    assert content["tolerated"] == [{**route, "kind": "date_format", "path": "$.at", "rule": "$..at", "count": 6}]
    assert content["not_verified"] == [
        {**route, "kind": "ignore", "path": "$.requestId", "rule": "$.requestId", "count": 4}
    ]
    assert {"name", "ok", "figure", "limit", "text", "remedy"} == set(content["conditions"][0])
    assert {note["name"]: note["figure"] for note in content["notes"]} == {"tolerated": 6, "not_verified": 4}
    assert content["lifetime"]["observed"] == sum(content["lifetime"]["verdicts"].values()) == 4
    assert content["known_gaps"] == 0
    assert [window["id"] for window in content["windows"]] == [summary["window"]["id"]]
    assert [(one["check"], one["proof"]) for one in content["standings"]] == [("health", "proven"), ("scans", "proven")]


async def test_what_a_domains_evidence_covers(site: Site) -> None:
    content = await (await site.get("/api/v1/domains/users")).json()
    coverage = content["coverage"]
    assert coverage["routes"] == {"known": 2, "compared": 2, "never_compared": []}
    user, other = coverage["entities"]
    assert (user["entity"], user["verified"], user["known"], user["share"]) == ("user", 15, 15, 1.0)
    assert (other["entity"], other["verified"], other["known"]) == ("", 15, None)
    assert (coverage["fields"]["known"], coverage["fields"]["not_verified"]) == (2, 1)
    assert coverage["fields"]["paths"][0]["path"] == "$.deletedAt", "what was never verified comes first"
    sensitivity = content["sensitivity"]
    assert (sensitivity["tried"], sensitivity["seen"], sensitivity["share"]) == (110, 104, 104 / 110)
    assert [place["path"] for place in sensitivity["paths"]] == ["$.tags", "$", "$.name"], (
        "the dullest place comes first"
    )
    assert sensitivity["hidden_by"] == [{"rule": "order $.tags", "count": 6}]
    assert sensitivity["blind_spots"] == [], "an order that may differ is no value that nobody sees"
    assert content["holes"] == []
    assert content["latency"]["shadow"]["reads"] == 30
    assert content["latency"]["primary"]["p95"] == pytest.approx(0.004, rel=0.1)

    payments = await (await site.get("/api/v1/domains/payments")).json()
    (spot,) = payments["sensitivity"]["blind_spots"]
    assert (spot["path"], spot["rule"], spot["accepted"]) == ("$.requestId", "ignore $.requestId", False)
    chat = await (await site.get("/api/v1/domains/chat")).json()
    assert chat["coverage"]["routes"]["never_compared"] == ["GET /api/chats"]
    assert chat["sensitivity"]["share"] is None


async def test_findings_and_traces(site: Site) -> None:
    findings = (await (await site.get("/api/v1/findings")).json())["findings"]
    assert {(one["path"], one["kind"], one["exchanges"]) for one in findings} == {
        ("$.amount", "number_string", 3),
        ("$.items", "value_changed", 3),
    }
    assert len((await (await site.get("/api/v1/findings?limit=1")).json())["findings"]) == 1
    assert (await (await site.get("/api/v1/findings?domain=users")).json()) == {"findings": [], "total": 0}

    page = await (await site.get(f"/api/v1/traces?finding={findings[0]['id']}&limit=2")).json()
    assert [one["id"] for one in page["traces"]] == ["trace0002", "trace0001"]
    rest = await (await site.get(f"/api/v1/traces?limit=2&before={page['next']}")).json()
    assert [one["id"] for one in rest["traces"]] == ["trace0000"]
    assert rest["next"] is None


async def test_a_trace_in_full_with_a_number_past_64_bits(site: Site) -> None:
    content = await (await site.get("/api/v1/traces/trace0001")).json()
    assert content["differences"][0] == {
        "path": "$.amount", "kind": "number_string", "primary": HUGE, "shadow": str(HUGE),
    }  # fmt: skip
    first, second = content["explanations"]
    assert (first["path"], first["kind"], first["shadow"]) == ("$.amount", "number_string", str(HUGE))
    assert [(change["path"], change["primary"], change["shadow"]) for change in second["changes"]] == [
        ("$.items.a[1]", 2, 3)
    ]
    assert content["request"]["target"] == "/api/payments?page=1"
    assert content["primary"]["body"] == '{"amount": 10.5, "items": [1, 2]}'


async def test_a_gate_decision_is_stored(site: Site) -> None:
    content = await (await site.get("/api/v1/gates/users")).json()
    assert (content["domain"], content["state"]) == ("users", "open")
    assert content["flags_to_change"] == ["REPO_USER=pg"]
    (decision,) = await site.ledger.decisions("users")
    log = content.pop("log")
    assert log == {"seq": 1, "hash": decision.hash}
    assert (decision.state, decision.result) == ("open", content)


async def test_a_gate_says_which_rules_have_expired_and_which_soon_will(tmp_path: Path) -> None:
    configure(tmp_path)
    date_rules(tmp_path, expired=AT.date(), soon=AT.date() + timedelta(days=14))
    settings = load_settings(tmp_path / "shadowread.yaml", {})
    at = AT
    async with recorded(settings) as ledger:
        evidence = Evidence(settings, ledger, now=lambda: at)

        async def told() -> dict[str, str]:
            (result,) = await evidence.gates(["users"])
            return {note["name"]: note["text"] for note in result.as_json()["notes"]}

        rule = f"compare.ignore.0 (until {AT.date()})"
        assert rule in (await told())["expiring_rules"]
        at = AT.replace(hour=0) + timedelta(days=1)
        first = await told()
        assert "1 rule is past the date" in first["expired_rules"]
        assert rule in first["expired_rules"]
        assert "compare.tolerate.0" in first["expiring_rules"]
        # Midnight of rules is that of UTC, whatever zone the clock tells.
        at = (AT.replace(hour=23)).astimezone(timezone(timedelta(hours=5)))
        assert "expired_rules" not in await told()


async def test_evidence_that_cannot_be_read_is_no_evidence(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other, other:
        other.execute("DROP TABLE examined_damages")
    content = await (await site.get("/api/v1/gates/users")).json()
    assert content["state"] == "unknown"
    assert any("examined_damages" in reason for reason in content["reasons"])
    users = (await (await site.get("/api/v1/domains")).json())["domains"][0]
    assert (users["gate"], users["observed"]) == ("closed", 31), "the counts are told all the same"
    reader = await LedgerReader.open(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(LedgerError, match="examined_damages"):
        await Evidence(site.settings, reader, now=lambda: AT).gates()
    await reader.close()


async def test_readiness_with_reasons(site: Site) -> None:
    answer = await site.get("/readyz")
    ok = {"ok": True, "reason": None}
    assert (answer.status, await answer.json()) == (
        200,
        {"ready": True, "checks": {"primary": ok, "id_map": ok}},
    )

    site.trouble["id_map"] = "Postgres at 10.1.2.3 is away"
    answer = await site.get("/readyz")
    content = await answer.json()
    assert (answer.status, content["ready"]) == (200, True), "reads are served without an id map"
    assert content["checks"]["id_map"] == {"ok": False, "reason": "Postgres at 10.1.2.3 is away"}
    told = (await (await site.get("/readyz", Authorization="")).json())["checks"]["id_map"]
    assert told["ok"] is False
    assert "10.1.2.3" not in told["reason"]

    site.primary.close()
    await site.primary.wait_closed()
    answer = await site.get("/readyz")
    content = await answer.json()
    assert (answer.status, content["ready"]) == (503, False)
    assert "cannot be reached" in content["checks"]["primary"]["reason"]
    assert (await site.get("/healthz")).status == 200
