"""The trace context by the letter of https://www.w3.org/TR/trace-context/, and the decision to sample."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import NoOpTracer
from opentelemetry.trace.span import TraceState

from proxy.model import Headers, ReadRequest, Side
from proxy.telemetry import UNTRACED, Spans
from proxy.telemetry.context import Context, context_of, parse, state_of, traceparent, with_traceparent, without_context
from proxy.telemetry.sampling import Rule, Sampler
from tests.bench.bench_telemetry import OUT, OUT_ASKED, SAMPLED, costs

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (GOOD, 1),
        (b" \t" + GOOD + b" ", 1),
        (GOOD[:-2] + b"00", 0),
        (GOOD[:-2] + b"ff", 255),
        (b"cc" + GOOD[2:], 1),
        (b"cc" + GOOD[2:] + b"-what-ever", 1),
    ],
)
def test_what_is_understood(value: bytes, flags: int) -> None:
    assert parse(value) == Context(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        GOOD + b"-00",
        GOOD + b"0",
        b"ff" + GOOD[2:],
        b"cc" + GOOD[2:] + b"what",
        GOOD.upper(),
        b"00-" + b"0" * 32 + GOOD[35:],
        GOOD[:36] + b"0" * 16 + b"-01",
        GOOD.replace(b"-", b"_"),
        GOOD.replace(b"4", b"g"),
        GOOD + b"\n",
        GOOD + b"," + GOOD,
        "00-é".encode("latin-1"),
    ],
)
def test_what_is_malformed_counts_as_absent(value: bytes) -> None:
    assert parse(value) is None


@given(st.binary(max_size=80))
def test_nothing_raises(value: bytes) -> None:
    parse(value)
    context_of(((b"TraceParent", value),))


def test_a_repeated_field_counts_as_absent() -> None:
    assert context_of(((b"TRACEPARENT", GOOD),)) == Context(TRACE, SPAN, 1)
    assert context_of(((b"traceparent", GOOD), (b"Traceparent", GOOD))) is None


def test_the_field_is_replaced_where_it_stands() -> None:
    made = traceparent(int(TRACE, 16), 0xAB, 3)
    assert made == f"00-{TRACE}-00000000000000ab-03".encode()
    before: Headers = ((b"A", b"1"), (b"TraceParent", GOOD), (b"tracestate", b"a=1"), (b"B", b"2"))
    same = with_traceparent(before, made)
    assert same == ((b"A", b"1"), (b"TraceParent", made), (b"tracestate", b"a=1"), (b"B", b"2"))
    other = traceparent(1, 2, 1)
    assert with_traceparent(before, other) == ((b"A", b"1"), (b"TraceParent", other), (b"B", b"2"))
    twice = (*before, (b"traceparent", GOOD))
    assert [value for name, value in with_traceparent(twice, made) if name.lower() == b"traceparent"] == [made]
    assert with_traceparent(((b"A", b"1"),), made) == ((b"A", b"1"), (b"traceparent", made))
    assert without_context(twice) == ((b"A", b"1"), (b"B", b"2"))


def test_a_state_is_kept_whole_or_not_at_all() -> None:
    assert state_of(((b"tracestate", b"a=1, ,"), (b"Tracestate", b"0t@b=2 3\t"))) == [("a", "1"), ("0t@b", "2 3")]
    for value in (b"a=" + b"1" * 5000, b"a=1,b", b"a=1,a=2", b"A=1", b"a=\xff", ",".join(f"a{n}=1" for n in range(33))):
        assert state_of(((b"tracestate", value if isinstance(value, bytes) else value.encode()),)) == []


@given(st.binary(max_size=60))
def test_whatever_state_is_kept_the_sdk_takes_without_a_word(value: bytes) -> None:
    kept = state_of(((b"tracestate", value),))
    assert list(TraceState(kept).items()) == kept


def test_the_caller_decides_where_the_parent_is_asked() -> None:
    yes, no = Context(TRACE, SPAN, 1), Context(TRACE, SPAN, 0)
    asking = Sampler(Rule(0.0, parent_based=True), random.Random(1).getrandbits)
    assert asking.trace_id(yes) == int(TRACE, 16)
    assert asking.trace_id(no) is None
    assert asking.trace_id(None) is None
    alone = Sampler(Rule(1.0, parent_based=False), random.Random(1).getrandbits)
    assert alone.trace_id(no) == int(TRACE, 16)
    assert Sampler(Rule(0.0, parent_based=False), random.Random(1).getrandbits).trace_id(yes) is None


@given(st.integers(1, 2**128 - 1), st.floats(0, 1))
def test_the_ratio_decides_as_the_sdk_does(trace_id: int, ratio: float) -> None:
    sampler = Sampler(Rule(ratio, parent_based=False), random.Random(1).getrandbits)
    found = sampler.trace_id(Context(f"{trace_id:032x}", SPAN, 0))
    theirs = TraceIdRatioBased(ratio).should_sample(None, trace_id, "x").decision
    assert (found == trace_id) if theirs is Decision.RECORD_AND_SAMPLE else (found is None)


def test_what_is_not_sampled_costs_no_span() -> None:
    class Refusing(NoOpTracer):
        def start_span(self, *_args: Any, **_kwargs: Any) -> Any:
            raise AssertionError("a span was begun")

    never = Spans(Refusing(), Sampler(Rule(0.0, parent_based=True), random.Random(1).getrandbits))
    unsampled = ((b"traceparent", GOOD[:-1] + b"0"),)
    assert never.begin("GET", "d", "GET /x", (), {}) == ("", UNTRACED)
    assert never.begin("GET", "d", "GET /x", unsampled, {}) == (TRACE, UNTRACED)
    request = ReadRequest("GET", "/x", unsampled)
    with UNTRACED.read(Side.SHADOW, "GET", {}) as step:
        assert step.asked(request) is request


def test_setting_up_traces_adds_little_to_what_is_not_sampled() -> None:
    found = {cost.case: cost.ratio for cost in costs(rounds=15, exchanges=100)}
    assert found[OUT] < 1.5
    assert found[OUT_ASKED] < 2.5
    assert found[SAMPLED] > found[OUT_ASKED], "spans are made where they are wanted"


def test_new_traces_are_sampled_by_their_share_and_agree_with_their_id() -> None:
    sampler = Sampler(Rule(0.25, parent_based=True), random.Random(7).getrandbits)
    found = [sampler.trace_id(None) for _ in range(4000)]
    kept = [one for one in found if one is not None]
    assert 900 < len(kept) < 1100
    assert len(set(kept)) == len(kept)
    again = Sampler(Rule(0.25, parent_based=False), random.Random(8).getrandbits)
    assert all(again.trace_id(Context(f"{one:032x}", SPAN, 1)) == one for one in kept)
