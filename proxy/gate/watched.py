"""Whether the domain was watched for long enough and until now, and whether the shadow is fast enough. Pure."""

from __future__ import annotations

from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition
from proxy.gate.words import clause, moment, number, rate, span
from proxy.model import Side
from proxy.settings import GateSettings
from proxy.soak import soak as added_up
from proxy.window import Latency

PERCENTILE = 0.95
_NONE = Latency()


def soak(limits: GateSettings, evidence: GateEvidence) -> Condition:
    found = added_up(evidence.watches, evidence.at, limits.max_hole, evidence.pulse_seconds)
    least, longest = limits.min_soak, span(limits.max_hole)
    if found.since is None:
        text = "The domain is not being watched."
        if found.holes:
            last = found.holes[-1]
            text = f"The domain is not being watched since {moment(last.began)}: {clause(last.why)}."
    else:
        # A hole longer than the limit ends where the time begins to count.
        too_long = next((hole for hole in reversed(found.holes) if hole.ended == found.since), None)
        after = f", after a hole of {span(too_long.seconds)} ({clause(too_long.why)})" if too_long else ""
        short = sum(1 for hole in found.holes if hole.began > found.since)
        holes = f" and {number(short, 'shorter hole')} left out" if short else ""
        text = (
            f"Watched for {span(found.seconds)} since {moment(found.since)}{after}, without a hole longer than "
            f"{longest}{holes}; {span(least)} are asked for."
        )
    if found.seconds >= least:
        return Condition("soak", True, found.seconds, least, text)
    remedy = f"{span(least - found.seconds)} more under `shadowread serve` without a hole longer than {longest}."
    return Condition("soak", False, found.seconds, least, text, remedy)


def shelf_life(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Evidence goes stale: the backends and their data move on."""
    last, limit = evidence.last_comparison_at, limits.shelf_life
    remedy = "Let the domain's requests be compared again."
    if last is None:
        return Condition("shelf_life", False, None, limit, "Nothing was compared yet.", remedy)
    age = max(0.0, (evidence.at - last).total_seconds())
    text = f"The last comparison was {span(age)} ago ({moment(last)}), the limit is {span(limit)}."
    return Condition("shelf_life", age <= limit, age, limit, text, "" if age <= limit else remedy)


def latency(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """The 95th percentile of the compared shadow reads over that of the primary reads beside them."""
    limit = limits.max_latency_ratio
    primary = evidence.latency.get(Side.PRIMARY, _NONE).quantile(PERCENTILE)
    shadow = evidence.latency.get(Side.SHADOW, _NONE).quantile(PERCENTILE)
    if primary is None or shadow is None:
        text = "No compared reads of both sides were timed."
        return Condition("latency", False, None, limit, text, "Comparisons are needed.")
    ratio = shadow / primary
    text = (
        f"95 % of the shadow's reads took at most {span(shadow)}, of the primary's {span(primary)}: "
        f"{rate(ratio)} times as long, the limit is {rate(limit)}."
    )
    if ratio <= limit:
        return Condition("latency", True, ratio, limit, text)
    return Condition(
        "latency", False, ratio, limit, text, "Make the shadow's slowest routes faster, or raise the limit."
    )
