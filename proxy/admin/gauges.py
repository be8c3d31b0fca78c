"""Figures of other parts that are asked for when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable

from proxy import __version__
from proxy.identity import Figures as IdentityFigures
from proxy.identity import Identity
from proxy.ledger import Ledger
from proxy.telemetry import Figures, Gauge
from proxy.verify.verifier import Verifier


def watch(
    figures: Figures,
    *,
    identity: Identity,
    ledger: Ledger,
    queue_depth: Callable[[], int] | None = None,
    queue_limit: int | None = None,
    tap_faults: Callable[[], int] | None = None,
    refused_clients: Callable[[], int] | None = None,
) -> None:
    """Show the id map, the ledger, the edge's taps, the exchanges under way and the build among the metrics.

    Of the ledger what this process counts: where workers count beside it, their figures are added to these.
    """

    def told(read: Callable[[IdentityFigures], float]) -> Callable[[], dict[tuple[str, ...], float]]:
        return lambda: {(): read(identity.figures)}

    if queue_depth is not None:
        text = "Exchanges that have no verdict yet."
        figures.gauge(Gauge("shadowread.queue.depth", text, lambda: {(): queue_depth()}, unit="{exchange}"))
    if queue_limit is not None:
        text = "Exchanges that may be without a verdict at once; more are skipped (limits.queue)."
        figures.gauge(Gauge("shadowread.queue.limit", text, lambda: {(): queue_limit}, unit="{exchange}"))
    if tap_faults is not None:
        text = "Exchanges served but not verified, because verification raised on the client's way."
        figures.gauge(Gauge("shadowread.edge.tap_faults", text, lambda: {(): tap_faults()}, counter=True))
    if refused_clients is not None:
        text = "Client connections that were one too many (limits.clients)."
        figures.gauge(Gauge("shadowread.edge.refused_clients", text, lambda: {(): refused_clients()}, counter=True))
    for gauge in (
        Gauge("shadowread.build.info", "1, with the version of the proxy.", lambda: {(__version__,): 1}, ("version",)),
        Gauge("shadowread.ids.hits", "Ids asked for that are joined.", told(lambda f: f.hits), counter=True),
        Gauge("shadowread.ids.misses", "Ids joined to nothing.", told(lambda f: f.misses), counter=True),
        Gauge("shadowread.ids.queries", "Statements sent to Postgres.", told(lambda f: f.queries), counter=True),
        Gauge("shadowread.ids.failures", "Lookups that failed.", told(lambda f: f.failures), counter=True),
        Gauge("shadowread.ids.known", "Ids held in memory.", told(lambda f: f.size)),
        Gauge("shadowread.ids.conflicts", "Ids joined twice in their entity.", told(lambda f: f.conflicts)),
        Gauge(
            "shadowread.ledger.recording",
            "1 while what is observed gets written, otherwise 0.",
            lambda: {(): float(ledger.recording.ok)},
        ),
        Gauge(
            "shadowread.ledger.waiting",
            "Finished exchanges that are not yet written.",
            lambda: {(): ledger.own_recording.waiting},
        ),
        Gauge(
            "shadowread.ledger.dropped_traces",
            "Traces that did not fit the queue while nothing could be written.",
            lambda: {(): ledger.own_recording.dropped_traces},
            counter=True,
        ),
        Gauge(
            "shadowread.ledger.misused",
            "Exchanges recorded twice, of which the second was ignored; above 0 is a bug.",
            lambda: {(): ledger.own_recording.misused},
            counter=True,
        ),
    ):
        figures.gauge(gauge)


def watch_verification(figures: Figures, verifier: Verifier | None) -> None:
    """Show what comparisons cost less for having been made before, and how much is verified at all.

    None takes back what was shown of a verifier before: nothing is verified any more.
    """

    def told(read: Callable[[Verifier], float]) -> Callable[[], dict[tuple[str, ...], float]]:
        return dict if verifier is None else lambda: {(): read(verifier)}

    for gauge in (
        Gauge(
            "shadowread.buffered.bytes",
            "Bytes of answers held for exchanges that have no verdict yet (limits.buffered bounds them).",
            told(lambda v: v.held),
            unit="By",
        ),
        Gauge(
            "shadowread.compare.remembered",
            "Pairs that were not compared, because the same two answers were seen equal under the same rules and ids.",
            told(lambda v: v.memo.hits),
            counter=True,
            unit="{exchange}",
        ),
        Gauge(
            "shadowread.compare.not_remembered",
            "Pairs that were looked for among those seen equal and had to be compared.",
            told(lambda v: v.memo.misses),
            counter=True,
            unit="{exchange}",
        ),
        Gauge(
            "shadowread.compare.memo",
            "Bytes of pairs seen equal (limits.memo).",
            told(lambda v: v.memo.bytes),
            unit="By",
        ),
        Gauge(
            "shadowread.compare.waiting",
            "Comparisons and other work on large bodies that no worker has yet (limits.workers).",
            told(lambda v: v.work.waiting),
        ),
        Gauge(
            "shadowread.share",
            "Share of the exchanges that is verified; below 1 the processor is short of time (limits.busy).",
            told(lambda v: v.share),
        ),
    ):
        figures.gauge(gauge)
