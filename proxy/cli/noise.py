"""`shadowread serve --aa`: the primary against itself, and what that says about noise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from proxy.cli.common import print_json, printable
from proxy.ledger import LedgerReader
from proxy.noise import DomainNoise, Noise, Report, RouteNoise, aa_settings, begin_anew, report_of
from proxy.settings import Settings

MOST_LINES = 20
"""How many noises of one route are shown; `--json` has all."""
VALUE_CHARACTERS = 40


def serve_against_itself(
    settings: Settings, serve: Callable[[Settings], Coroutine[Any, Any, None]], run: Callable[..., None], as_json: bool
) -> None:
    """Serve as ever, with both sides read from the primary; when it ends, print what was noise.

    `serve` runs until it is stopped, `run` runs it in a loop. The real ledger is not touched.
    """
    prepared = aa_settings(settings)
    begin_anew(prepared)
    run(serve(prepared))
    report = asyncio.run(_gathered(prepared))
    if as_json:
        print_json(report.as_json())
    else:
        for line in lines_of(report):
            click.echo(line)


async def _gathered(settings: Settings) -> Report:
    ledger = await LedgerReader.open(settings.ledger.url)
    try:
        return await report_of(settings, ledger, datetime.now(UTC).date())
    finally:
        await ledger.close()


def lines_of(report: Report) -> Iterator[str]:
    """The report for people. Values come from the backend, so that no control character of theirs is let through."""
    yield "A/A run: the primary held against itself"
    for domain in report.domains:
        yield f"{domain.domain}: {_summary(domain)}"
        for route in domain.routes:
            if route.differed or route.noise:
                yield from _route(route)
    if report.yaml:
        yield "rules that would silence it; nothing is applied. Paste those you can answer for:"
        yield report.yaml.rstrip("\n")


def _summary(domain: DomainNoise) -> str:
    others = [f"{count:,} {what}" for count, what in ((domain.failed, "failed"), (domain.skipped, "skipped")) if count]
    more = f" ({', '.join(others)})" if others else ""
    if not domain.comparisons:
        return f"nothing was compared, so nothing is known{more}"
    compared = f"{domain.comparisons:,} comparison{'' if domain.comparisons == 1 else 's'}"
    if not domain.noisy:
        return f"no noise in {compared}{more}"
    return f"{sum(route.differed for route in domain.routes):,} of {compared} differ{more}"


def _route(route: RouteNoise) -> Iterator[str]:
    yield f"  {printable(route.route)}: {route.differed:,} of {route.comparisons:,} differ"
    for noise in route.noise[:MOST_LINES]:
        yield from _noise(noise)
    if len(route.noise) > MOST_LINES:
        yield f"    and {len(route.noise) - MOST_LINES:,} more; --json has all"


def _noise(noise: Noise) -> Iterator[str]:
    seen = noise.seen
    yield f"    {printable(seen.path)}  {seen.kind.value}  in {seen.exchanges:,} ({seen.share:.1%})"
    yield f"      {_value(seen.primary)} -> {_value(seen.shadow)}"
    if noise.remark:
        yield f"      {printable(noise.remark)}"


def _value(sample: str | None) -> str:
    if sample is None:
        return "(absent)"
    text = printable(sample)
    return text if len(text) <= VALUE_CHARACTERS else text[: VALUE_CHARACTERS - 1] + "…"
