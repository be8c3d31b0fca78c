"""How values are put on a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from proxy.admin.pages.first import fix_first, reason
from proxy.admin.pages.render import TEMPLATES
from proxy.admin.pages.spark import HEIGHT, spark
from proxy.admin.pages.words import address, age, figure, prose, rate, ratio, shown
from proxy.gate import Condition
from proxy.model import Verdict

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\u202eb", "a\\u202eb"),
        ("\x00\x1b[31m", "\\u0000\\u001b[31m"),
        ("\ud800half", "\\ud800half"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        (None, ""),
        (7, "7"),
    ],
)
def test_nothing_in_a_text_is_hidden(value: object, text: str) -> None:
    assert shown(value) == text


def test_the_live_page_hides_nothing_either() -> None:
    """Its script puts values on the page by itself: the same characters have to be spelled out there."""
    script = (TEMPLATES.parent / "static" / "tail.js").read_text()
    told = re.search(r"/(\[[^\]]+\])/g", script)
    assert told is not None
    unseen = re.compile(told[1])
    for code in (*range(0xD800), *range(0xE000, 0x10000)):
        assert (unseen.search(chr(code)) is not None) == (shown(chr(code)) != chr(code)), hex(code)


def test_a_long_text_is_cut_and_says_so() -> None:
    assert shown("x" * 5_000_000, 10) == "xxxxxxxxxx\u2026 (5,000,000 characters)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"), (1e-9, "< 0.001 %"), (0.0005, "0.05 %"), (0.3822, "38.2 %"), (0.99999, "99.99 %"), (1.0, "100 %"),
        (None, ""),
    ],
)  # fmt: skip
def test_a_rate_that_is_more_than_nothing_never_reads_as_nothing(value: float | None, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "just now"), (59.9, "59 s ago"), (60, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago"),
     (-5, "just now"), (-7_300, "in 2 h")],
)  # fmt: skip
def test_ages_are_told_in_one_unit(seconds: float, text: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text


def test_figures_of_durations_are_told_as_durations() -> None:
    assert figure(86_400, "soak") == "1 d"
    assert (figure(86_400, "comparisons"), figure(0.094567), figure(None)) == ("86,400", "0.09457", "")
    assert (ratio(1.5), ratio(12.3), ratio(None)) == ("1.50\u00d7", "12\u00d7", "")


def test_an_address_keeps_what_is_asked_and_leaves_out_what_is_empty() -> None:
    query = (("domain", "a b"), ("before", "7"))
    assert address("/x", query, sort="-n", before="") == "/x?domain=a+b&sort=-n"
    assert address("/x") == "/x"


def bucket(comparisons: int, diffs: int, failed: int) -> dict[str, int]:
    return {"comparisons": comparisons, "diffs": diffs, "failed": failed}


def test_one_diff_among_thousands_is_still_to_be_seen() -> None:
    picture = spark([bucket(0, 0, 0), bucket(10_000, 1, 0), bucket(5_000, 0, 2)])
    first, second = picture.bars
    assert (first.all_height, first.diff_height, first.fail_height) == (HEIGHT, 1.0, 0.0)
    assert second.fail_height == 1.0
    assert picture.text == "15,000 compared, 1 differed, 2 failed"
    assert spark([]).bars == ()


def entry(name: str, gate: str, *, diff: int = 0, comparisons: int = 100, **more: object) -> dict[str, object]:
    verdicts = {verdict.value: 0 for verdict in Verdict} | {"diff": diff}
    whole = {"name": name, "gate": gate, "stage": "shadow", "verdicts": verdicts, "comparisons": comparisons}
    return {**whole, "provenance": "proven", "reasons": ["one", "two"], **more}


def test_what_is_to_be_fixed_first_is_what_most_evidence_is_lost_to() -> None:
    def first(*domains: dict[str, object]) -> object:
        found = fix_first(domains)
        return None if found is None else found["name"]

    assert first(entry("a", "open"), entry("b", "open")) is None
    assert first(entry("a", "closed", diff=3), entry("b", "closed", diff=40)) == "b"
    assert first(entry("a", "closed", diff=40), entry("b", "closed", provenance="unproven")) == "b"
    assert first(entry("a", "closed"), entry("b", "closed", reasons=["one"])) == "b"
    assert first(entry("a", "closed", stage="off", diff=9), entry("b", "open", diff=99)) is None


def test_what_is_typed_is_set_as_code_and_nothing_else_becomes_markup() -> None:
    assert prose("run `shadowread window`, then `x") == "run <code>shadowread window</code>, then `x"
    assert prose("`<b>` & `\u202e`") == "<code>&lt;b&gt;</code> &amp; <code>\\u202e</code>"
    assert prose("`a`" * 1_000, 4) == "<code>a</code>`\u2026 (3,000 characters)"
    assert prose(None) == ""


@pytest.mark.parametrize(
    ("diff", "failed", "provenance", "says"),
    [
        (3, 0, "proven", "diffs"), (3, 2, "proven", "diffs"), (1, 500, "proven", "failures"),
        (0, 1, "proven", "failures"), (0, 0, "proven", "comparisons"), (3, 0, "unproven", "provenance"),
    ],
)  # fmt: skip
def test_the_reason_is_of_what_weighs_most(diff: int, failed: int, provenance: str, says: str) -> None:
    verdicts = {"diff": diff, "shadow_error": failed, "lost": 0}
    domain = {"name": "users", "comparisons": 9, "provenance": provenance, "verdicts": verdicts}
    names = ("comparisons", "diffs", "upper_bound", "failures", "provenance")
    conditions = [Condition(name, False, None, None, name) for name in names]
    assert reason(domain, conditions) == says
    lost = Condition("recording", None, None, None, "the disk is full")
    assert reason(domain, [*conditions, lost]) == "the disk is full"
    held = Condition("diffs", True, 3, 5, "held")
    assert reason(domain, [held, Condition("soak", None, None, None, "soak")]) == "soak", "what holds is no reason"
    assert reason(domain, [held]) == "The gate is closed."


def test_a_picture_of_what_is_unproven_shows_no_zero() -> None:
    history = [{"at": "", "comparisons": 30, "diffs": 0, "failed": 0}]
    assert spark(history).text == "30 compared, 0 differed, 0 failed"
    assert spark(history, proven=False).text == "30 compared, unproven, 0 failed"
    assert "2 differed" in spark([{**history[0], "diffs": 2}], proven=False).text
