"""The page of a trace over a real site: what it shows, what it folds, and that nothing in a body is trusted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from comparators.ids import IdPair
from comparators.model import Difference, Kind
from proxy.admin.pages.trace_view import link_of, times_of
from proxy.admin.tree_content import MAX_OPENED
from proxy.model import Trace, Verdict
from tests.admin.recorded import settings_in
from tests.admin.traced import HOSTILE, LEGACY, PAIRS, UUID, TraceSite, large_pair, trace_site, traced

VOID = {"meta", "link", "input", "br", "hr", "img"}
LEFT = {
    "data": [{"_id": LEGACY, "price": 1, "a": 1, "b": 2, "c": 3, "tags": ["x", "y"]}],
    "total": 1,
    "note": HOSTILE,
    HOSTILE: {"gone": 1},
    "same": {"deep": [1, 2, {"x": None}]},
}
RIGHT = {
    "data": [{"_id": UUID, "price": "1", "a": 1, "b": 2, "c": 3, "tags": ["x", "z"]}],
    "total": 1,
    "note": f"{HOSTILE}!",
    HOSTILE: {},
    "same": {"deep": [1, 2, {"x": None}]},
}
BESIDE = (Difference("status", Kind.STATUS, 200, 404), Difference("headers.x-side", Kind.HEADER, "mongo", HOSTILE))


class Page(HTMLParser):
    """What stands on a page; raises AssertionError for tags that do not fit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[dict[str, str | None]] = []
        self.links: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.scripts: list[str | None] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on") or name == "style"]
        if tag not in VOID:
            self.open.append(tag)
        if (own := given.get("id")) is not None:
            self.ids.append(own)
        if tag == "tr":
            self.rows.append(given)
        elif tag == "a":
            self.links.append(given)
        elif tag == "script":
            self.scripts.append(given.get("src"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[TraceSite]:
    kept = traced("small", LEFT, RIGHT, extra=BESIDE, known_gap=True, detail="primary body: fine; a remark")
    bare = replace(
        kept, id="bare", verdict=Verdict.SHADOW_ERROR, shadow_status=None, shadow_body=None, shadow_headers=(),
        differences=(), differences_total=0, settling=(),
    )  # fmt: skip
    none = replace(
        bare, id="none", primary_body=None, detail="primary body: 90 bytes that are not JSON: not kept", trace_id=""
    )
    head = replace(kept, id="head", method="HEAD", primary_body="", shadow_body="", detail="")
    broken = replace(kept, id="broken", shadow_body="{")
    lost = replace(kept, id="lost", route="GET /api/gone", differences=(Difference("$.x.y", Kind.MISSING, 1),))
    async with trace_site(tmp_path, [kept, bare, none, head, broken, lost]) as site:
        yield site


async def test_everything_that_is_kept_is_shown(small: TraceSite) -> None:
    text = await small.text("/traces/small")
    page = Page(text)
    for words in (
        "GET /api/payments", "diff", "known gap", "primary 200, shadow 200", "4 ms", "11 ms", "500 ms: still different",
        "a remark", "4bf92f3577b34da6a3ce929d0e0e4736", "Differences 6", "number string", "value changed", "missing",
        "content-type", "x-side", "curl --globoff", "$AUTHORIZATION", "id: user".removeprefix("id: "),
    ):  # fmt: skip
        assert words in page.text, words
    assert len(page.ids) == len(set(page.ids))
    assert {f"d{number}" for number in range(6)} <= set(page.ids)
    stops = [row["data-diff"] for row in page.rows if "data-diff" in row]
    assert sorted(number for stop in stops for number in (stop or "").split()) == ["0", "1", "2", "3", "4", "5"]


async def test_every_difference_leads_to_its_place_and_to_its_finding(small: TraceSite) -> None:
    page = Page(await small.text("/traces/small"))
    findings = [link["href"] or "" for link in page.links if (link["href"] or "").startswith("/findings/")]
    assert len(findings) == 6
    for href in findings:
        assert (await small.client.get(f"{small.url}{href}")).status == 200
    anchors = [link["href"] or "" for link in page.links if (link["href"] or "").startswith("#d")]
    assert {anchor.removeprefix("#") for anchor in anchors} <= set(page.ids)
    assert len(anchors) == 4


async def test_nothing_in_a_body_is_trusted(small: TraceSite) -> None:
    for path in ("/traces/small", "/traces/small/rows?at=3", "/traces/small/rows?at=", "/traces/small?open=:0"):
        text = await small.text(path)
        page = Page(text)
        assert "alert(1)" in text or path.endswith("at=3")
        assert all(source and source.startswith("/static/") for source in page.scripts)
        assert not re.search(r"[\x00-\x08\u200b\u202e]", text)


async def test_folds_open_without_a_script_and_with_it(small: TraceSite) -> None:
    page = Page(await small.text("/traces/small"))
    fold = next(link for link in page.links if "data-rows" in link)
    before, by_hand = len(page.rows), fold["href"] or ""
    opened = Page(await small.text(by_hand))
    assert len(opened.rows) > before
    rows = Page(await small.text(fold["data-rows"] or ""))
    assert {row["id"] for row in rows.rows} <= {row.get("id") for row in opened.rows}


async def test_opening_many_folds_by_hand_forgets_the_first(small: TraceSite) -> None:
    opened = ",".join(f"0.{number}:0" for number in range(MAX_OPENED))
    page = Page(await small.text(f"/traces/small?open={opened}"))
    for link in page.links:
        if "data-rows" in link:
            assert (await small.client.get(f"{small.url}{link['href']}")).status == 200


async def test_the_page_says_what_its_json_says(small: TraceSite) -> None:
    page = Page(await small.text("/traces/small"))
    tree = await small.json("/api/v1/traces/small/tree")
    rows = [row for row in page.rows if "data-at" in row]
    assert [(row["data-at"], row["data-level"]) for row in rows] == [
        (row["at"], str(row["level"])) for row in tree["rows"]
    ]
    price = next(row for row in tree["rows"] if row["path"] == "$.data[0].price")
    assert price["kinds"] == ["number_string"]
    assert price["primary"]["before"] == "1"


async def test_places_are_found_by_path_and_by_address(small: TraceSite) -> None:
    by_path = await small.json("/api/v1/traces/small/tree?path=$.data[0]&limit=2")
    assert (by_path["at"], by_path["path"], by_path["total"], by_path["next"]) == ("0.0", "$.data[0]", 6, 2)
    rest = await small.json("/api/v1/traces/small/tree?at=0.0&offset=2")
    assert (rest["path"], rest["next"]) == ("$.data[0]", None)
    names = [row["primary_name"] for row in (*by_path["rows"][:2], *rest["rows"])]
    assert names == ["_id", "price", "a", "b", "c", "tags"]
    assert by_path["rows"][0]["ids"] == [{"entity": "user", "legacy": LEGACY, "uuid": UUID}]


QUERIES = (
    ("at=9.9", 404),
    ("path=$.nothing", 404),
    ("path=data", 404),
    ("at=x", 404),
    ("at=0&path=$", 400),
    ("limit=0&at=", 400),
    ("limit=1000&at=", 400),
    ("offset=-1&at=", 400),
    ("offset=1", 400),
    ("open=a", 400),
    ("focus=a", 400),
    ("open=" + ",".join(["0"] * 9), 400),
    ("other=1", 400),
    ("at=0&focus=1", 400),
    ("at=0&offset=99999", 200),
    ("focus=99", 200),
    ("open=7.7:9", 200),
)


async def test_what_makes_no_sense_is_refused(small: TraceSite) -> None:
    for query, status in QUERIES:
        await small.json(f"/api/v1/traces/small/tree?{query}", status)


async def test_a_side_that_did_not_answer_leaves_the_other_alone(small: TraceSite) -> None:
    page = Page(await small.text("/traces/bare"))
    assert "primary 200, shadow none" in page.text
    assert "No difference was found" in page.text
    assert "only the primary's body is kept (primary body: fine): of the other nothing can be said" in page.text
    assert {row["data-at"] for row in page.rows if "data-at" in row} >= {"", "0", "1"}


@pytest.mark.parametrize(
    ("id_", "why"),
    [
        ("none", "neither body is kept (primary body: 90 bytes that are not JSON: not kept)"),
        ("head", "There is nothing to show side by side: neither answer had a body."),
        ("broken", "the shadow body: cut off before the end of the value at byte 1"),
    ],
)
async def test_bodies_that_cannot_be_shown_say_why(small: TraceSite, id_: str, why: str) -> None:
    assert why in Page(await small.text(f"/traces/{id_}")).text
    await small.json(f"/api/v1/traces/{id_}/tree?at=", 404)


async def test_a_trace_of_a_route_that_is_gone_is_shown_all_the_same(small: TraceSite) -> None:
    page = Page(await small.text("/traces/lost"))
    assert "no longer a route" in page.text
    assert "d0" in page.ids


async def test_differences_that_were_not_recorded_say_so(small: TraceSite) -> None:
    (remark,) = (await small.json("/api/v1/traces/lost/tree"))["remarks"][1:]
    assert "more differences were found than were kept" in remark
    assert remark in Page(await small.text("/traces/lost")).text
    assert (await small.json("/api/v1/traces/small/tree"))["remarks"] == []


async def test_unknown_traces_are_not_found(small: TraceSite) -> None:
    await small.text("/traces/nothing", 404)
    await small.text("/traces/nothing/rows?at=", 404)


async def test_the_shadow_is_asked_with_its_own_ids_and_without_the_secrets_of_the_configuration(
    tmp_path: Path,
) -> None:
    made = traced("one", {"a": 1}, {"a": 2})
    shadow = settings_in(tmp_path).shadow.model_copy(
        update={"url": "http://reader:s3cret@127.0.0.1:5002", "translate_ids": True}
    )
    async with trace_site(tmp_path, [made], settings={"shadow": shadow}) as site:
        text = await site.text("/traces/one")
    page = Page(text)
    assert "s3cret" not in text
    assert f"http://127.0.0.1:5002/api/payments?user={UUID}" in page.text
    assert "X-Shadow-Read: 1" in page.text


@pytest.mark.parametrize(
    ("template", "trace_id", "link"),
    [
        ("https://tempo.example/t/{trace_id}?x", "ab" * 16, f"https://tempo.example/t/{'ab' * 16}?x"),
        ("https://tempo.example/{trace_id}", "a/../b", "https://tempo.example/a%2F..%2Fb"),
        (None, "ab" * 16, None),
        ("https://tempo.example/{trace_id}", "", None),
    ],
)
def test_the_link_to_the_tracing_system(template: str | None, trace_id: str, link: str | None) -> None:
    assert link_of(template, trace_id) == link


def test_times_without_a_read_have_bars_without_length() -> None:
    assert [one.width for one in times_of(traced("x", 1, 2, primary_seconds=0.0, shadow_seconds=0.0))] == [0, 0]


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[TraceSite]:
    rows, other = large_pair(5 * 1024 * 1024)
    pairs = (
        *PAIRS,
        *(IdPair("offer", row["_id"], f"{row['_id'][:8]}-0000-4000-8000-{row['_id'][12:]}") for row in rows[::50]),
    )
    twin = {pair.legacy: pair.uuid for pair in pairs}
    other = [{**row, "_id": twin.get(row["_id"], row["_id"])} for row in other]
    deep: dict[str, Any] = {"x": 1}
    deeper: dict[str, Any] = {"x": 2}
    for _ in range(190):
        deep, deeper = {"a": deep, "b": 1}, {"a": deeper, "b": 1}
    line = "lorem " * 900_000
    made: list[Trace] = [
        traced("rows", rows, other, pairs=pairs),
        traced("deep", deep, deeper),
        traced("wide", {"n": list(range(100_000))}, {"n": [*range(99_999), -1]}),
        traced("line", {"t": f"{line}a{line[:99]}"}, {"t": f"{line}b{line[:99]}"}),
    ]
    async with trace_site(tmp_path, made, pairs=pairs) as site:
        yield site


async def test_a_page_stays_small_whatever_stands_in_it(tmp_path: Path) -> None:
    left = {f"{'&' * 150}{number}": "\u202e&" * 150 for number in range(600)}
    made = traced("hostile", left, {name: f"{text}<" for name, text in left.items()}, kept=600)
    async with trace_site(tmp_path, [made]) as site:
        text = await site.text("/traces/hostile")
    assert len(text.encode()) < 2_000_000
    assert "found no room here" in Page(text).text
    assert "400 further ones are in the bodies below" in Page(text).text


@pytest.mark.slow
async def test_large_traces_stay_usable(large: TraceSite) -> None:
    for id_ in ("rows", "deep", "wide", "line"):
        text = await large.text(f"/traces/{id_}")
        page = Page(text)
        assert len(text.encode()) < 2_000_000
        assert len(page.rows) < 2_500
        tree = await large.json(f"/api/v1/traces/{id_}/tree")
        assert tree["rows"][0]["state"] == "inside"
        assert not tree["hidden"]
        assert not tree["why"]
        shown = {number for row in tree["rows"] for number in row["differences"]}
        assert len(shown) == len((await large.json(f"/api/v1/traces/{id_}"))["differences"])
        for link in [link for link in page.links if "data-rows" in link][:3]:
            rows = Page(await large.text(link["data-rows"] or ""))
            assert 0 < len(rows.rows) <= 201
        by_hand = next((link["href"] or "" for link in page.links if "data-rows" in link), None)
        if by_hand is not None:
            assert len((await large.text(by_hand)).encode()) < 2_000_000
    end = await large.json("/api/v1/traces/wide/tree?path=$.n&offset=99990")
    assert [row["primary_name"] for row in end["rows"]] == [*range(99_990, 100_000)]
    line = await large.json("/api/v1/traces/line/tree")
    assert (line["rows"][1]["primary"]["changed"], line["rows"][1]["shadow"]["changed"]) == ("a", "b")
