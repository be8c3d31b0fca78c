"""What a body is parsed to, and what is said of one that cannot be."""

from __future__ import annotations

import json
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparators import decode as module
from comparators.compare import compare_bodies
from comparators.decode import MAX_DIGITS, MAX_EXPONENT, MAX_MEMBERS, Unparseable, decode
from comparators.ids import IdTable
from comparators.rules import compile_rules
from tests.comparators.fuzz.checking import check_bytes

SECONDS = 1
"""Linear work on the bodies of this file takes a small part of it, quadratic work many times as much."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", Decimal("-0.0")),
        ("9223372036854775808", 2**63),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("9007199254740993", 2**53 + 1),
        ("9007199254740993.0", Decimal("9007199254740993.0")),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("20000000000000000001.000000000000000001", Decimal("20000000000000000001.000000000000000001")),
        ("0.1", Decimal("0.1")),
        ("1e400", Decimal("1e400")),
        ("1E+999999", Decimal("1E+999999")),
        ("1e-999999", Decimal("1e-999999")),
        ("4.9e-324", Decimal("4.9e-324")),
        ("1" * MAX_DIGITS, int("1" * MAX_DIGITS)),
        ("-" + "1" * MAX_DIGITS, -int("1" * MAX_DIGITS)),
        ("1." + "1" * (MAX_DIGITS - 1), Decimal("1." + "1" * (MAX_DIGITS - 1))),
    ],
)
def test_numbers_keep_every_digit(text: str, value: Any) -> None:
    for body in (text, f" {text}\n", f"[{text}]"):
        found = decode(body.encode())
        found = found[0] if isinstance(found, list) else found
        assert type(found) is type(value)
        assert str(found) == str(value)


def test_the_digits_decide_and_not_the_spelling() -> None:
    for one, other in (("1.0", "1"), ("1e2", "100"), ("0.10", "1E-1"), ("-0.0", "0")):
        assert decode(one.encode()) == decode(other.encode())
    assert decode(b"0.1") != decode(b"0.1000000000000000055511151231257827")


def test_of_names_that_stand_twice_the_last_counts() -> None:
    assert decode(b'{"a":1,"b":{"c":1,"c":[2]},"a":{"d":3}}') == {"a": {"d": 3}, "b": {"c": [2]}}
    assert decode(b'{"a":1,"\\u0061":2}') == {"a": 2}
    # The second name is read by the slow parser, for the lone surrogate.
    assert decode(b'{"a":1,"a":"\\ud800"}') == {"a": "\ud800"}


def test_a_lone_surrogate_is_a_character_like_any_other() -> None:
    body = b'{"\\udc00":"\\ud800x","pair":"\\ud83d\\ude00","turned":"\\ude00\\ud83d"}'
    value = decode(body)
    assert value == {"\udc00": "\ud800x", "pair": "\U0001f600", "turned": "\ude00\ud83d"}
    rules = compile_rules([{}])
    assert compare_bodies(body, body + b" ", rules, IdTable()).equal
    for other, path in ((b'\\udc01":"\\ud800x', "$['\\udc00']"), (b'\\udc00":"\\ud801x', "$['\\udc00']")):
        found = compare_bodies(body, body.replace(b'\\udc00":"\\ud800x', other), rules, IdTable())
        assert path in {one.path for one in found.differences}
        for one in found.differences:
            one.path.encode()


REFUSED = [
    (b"", "no text at all", 0),
    (b" \n", "no text at all", 2),
    (b"\xef\xbb\xbf{}", "a byte order mark", 0),
    (b"NaN", "NaN, which is not JSON", 0),
    (b'["NaN", NaN]', "NaN, which is not JSON", 8),
    (b'{"-Infinity": -Infinity}', "-Infinity, which is not JSON", 14),
    (b"[1, Infinity]", "Infinity, which is not JSON", 4),
    (b'{"a": 1} {"a": 1}', "more text after the end", 9),
    (b"1 x", "more text after the end", 2),
    (b"1\x00", "more text after the end", 1),
    ('["é"] é'.encode(), "more text after the end", 7),
    (b'["\xff"]', "not UTF-8", 2),
    (b'"\xed\xa0\x80"', "not UTF-8", 1),
    (b'"\xc0\x80"', "not UTF-8", 1),
    (b'"\xf4\x90\x80\x80"', "not UTF-8", 1),
    (b'["a\x00"]', "control character", 3),
    (b'["a\nb"]', "control character", 3),
    (b'["\\x"]', "escape", 2),
    (b"[01]", "", 2),
    (b"[1,]", "", 3),
    (b"{'a':1}", "", 1),
    (b'{"a":1,}', "", 7),
    (b"[+1]", "", 1),
    (b"[.5]", "", 1),
    (b"\x0b1", "", 0),
    (b"\xc2\xa01", "", 0),
    (b"[tru]", "", 1),
    (b"[1" + b"1" * MAX_DIGITS + b"]", "more than 4300 digits", 1),
    (b"[1." + b"1" * MAX_DIGITS + b"]", "more than 4300 digits", 1),
    (
        b'["1' + b"1" * MAX_DIGITS + b'", 1' + b"1" * MAX_DIGITS + b"]",
        "more than 4300 digits",
        MAX_DIGITS + 6,
    ),
    (b"[1e1000000]", "exponent beyond 999999", 1),
    (b"[1e-1000000]", "exponent beyond 999999", 1),
    (b"[1e999999999999999999999]", "exponent beyond 999999", 1),
    (b'["1e1000000", 10e999999]', "exponent beyond 999999", 14),
    (b"[" * 100_000, "nested too deeply", None),
]


@pytest.mark.parametrize(("body", "text", "offset"), REFUSED, ids=[repr(body[:24]) for body, _, _ in REFUSED])
def test_what_is_not_json_is_refused_with_its_place(body: bytes, text: str, offset: int | None) -> None:
    found = decode(body)
    assert isinstance(found, Unparseable)
    assert text in found.text
    assert found.offset == offset
    # The comparison names the side.
    rules = compile_rules([{"ignore": ["$..a"]}])
    primary, shadow = (
        compare_bodies(one, other, rules, IdTable()).differences for one, other in ((body, b"{}"), (b"{}", body))
    )
    for (only,), (said, other) in ((primary, (0, 1)), (shadow, (1, 0))):
        assert (only.path, only.kind.value) == ("$", "unparseable")
        assert (only[2 + said], only[2 + other]) == (found.as_text(), None)
    both = compare_bodies(body, body + b" ", rules, IdTable()).differences
    assert [one.kind.value for one in both] == ["unparseable"]
    assert compare_bodies(body, body, rules, IdTable()).equal, "the same bytes are the same to any client"


SMALL = '{"a": [true, null, -1.5e2, "\\u00e9\\n", {}], "é😀": {"b": ""}, "n": 12}'.encode()


def test_a_body_that_is_cut_off_is_refused_wherever_it_is_cut() -> None:
    assert not isinstance(decode(SMALL), Unparseable)
    for end in range(len(SMALL)):
        found = decode(SMALL[:end])
        assert isinstance(found, Unparseable), end
        # The offset is the end, or the start of the word or character that was cut.
        assert found.offset is not None
        assert end - len(b"\\u00e") <= found.offset <= end, (end, found)
        difference = compare_bodies(SMALL, SMALL[:end], compile_rules([{}]), IdTable()).differences
        assert [(one.path, one.kind.value, one.primary) for one in difference] == [("$", "unparseable", None)]


PIECES = st.sampled_from([
    b"[", b"]", b"{", b"}", b":", b",", b'"', b'"a"', b'"\\u0061"', b'"\\ud800"', b'"\xc3\xa9"', b"\xc3",
    b"1", b"-", b"0", b".", b"e", b"E+", b"1e5", b"1.50", b"-0", b"true", b"false", b"null", b"NaN",
    b"Infinity", b" ", b"\n", b"\t", b"\x0c", b"\\", b"\\u", b"\xef\xbb\xbf", b"\x00", b"\x7f",
    b"18446744073709551616", b"/", b"1e999999", b"1e1000000", b"0e1000001",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=9).map(b"".join))
def test_the_fast_parser_says_what_the_slow_one_says(body: bytes) -> None:
    check_bytes(body)
    check_bytes(b'{"a":[' + body + b"]}")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_what_python_writes_is_read_as_it_was(value: Any) -> None:
    exact = json.loads(json.dumps(value), parse_float=Decimal)
    for ascii_only in (True, False):
        assert decode(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == exact or any(
            "\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False)
        )


def test_members_are_capped() -> None:
    lists = [b"[]"] * (MAX_MEMBERS - 1)
    assert len(decode(b"[" + b",".join(lists) + b"]")) == MAX_MEMBERS - 1
    for one in (
        b"[[]," + b",".join(lists) + b"]",
        b"[" * (MAX_MEMBERS + 1),
        b'{"":' * (MAX_MEMBERS // 2 + 1),
    ):
        found = decode(one)
        assert isinstance(found, Unparseable)
        assert str(MAX_MEMBERS) in found.text


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"1" * 20_000 + b'",1e1000000]',
        b"[" + b"1" * 20_000 + b"]",
        b"[1." + b"1" * 20_000 + b"]",
        b"[" + (b"1" * (MAX_DIGITS - 1) + b",") * 80 + b"1" * (MAX_DIGITS + 1) + b"]",
        b"[" + (b"1" * (MAX_DIGITS - 1) + b",") * 80 + b"1e1000000]",
        b'["' + b"1." * 40_000 + b'",NaN]',
        b'["' + b"-" * 300_000 + b'",NaN]',
        b'["' + b"\\" * 300_000 + b'",NaN]',
        b'["' + b"-Infinity" * 50_000 + b'"',
        b"1" * 1_000_000,
        b"0." + b"0" * 20_000 + b"1",
        b"1e" + b"0" * 1_000_000 + b"1",
        b"{" * 500_000,
        b'"' + b"\\ud800" * 200_000 + b'"',
    ],
    ids=lambda body: repr(body[:8] + b"..." + body[-8:]) + str(len(body)),
)
def test_finding_the_place_of_what_is_refused_takes_linear_time(body: bytes) -> None:
    start = time.perf_counter()
    decode(body)
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize("item", [b"1.5", b'"ab"', b"[]", b'{"":0}', b"[[[]]]", b"12345678901234567890123", b"1"])
def test_memory_is_a_small_multiple_of_the_body(item: bytes) -> None:
    body = b"[" + b",".join([item] * (400_000 // len(item))) + b"]"
    tracemalloc.start()
    try:
        assert not isinstance(decode(body), Unparseable)
        assert tracemalloc.get_traced_memory()[1] < 60 * len(body)
    finally:
        tracemalloc.stop()


def test_the_limits_are_what_the_documentation_says() -> None:
    assert (MAX_DIGITS, MAX_EXPONENT, MAX_MEMBERS) == (4_300, 999_999, 1_000_000)
    assert module.decode(b"1e" + b"0" * 50 + b"999999") == Decimal("1e999999")
