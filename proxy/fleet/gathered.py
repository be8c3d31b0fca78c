"""What the workers tell, added to what the first process knows by itself: there all who ask find the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from proxy.fleet.increments import Increments, merged
from proxy.fleet.messages import Beat, FromWorker, Remembering
from proxy.tail import Tail
from proxy.telemetry import Figures, Gauge
from proxy.telemetry.figures import Labels
from proxy.verify.pulse import Seen, Tallies
from proxy.verify.remembered import Remembered

Gauges = Callable[[str], Iterable[Mapping[Labels, float]]]
"""What each worker says of the gauge of a name."""


class Gathered:
    """`remembered` is where requests to be replayed are looked for; None while nothing is verified."""

    def __init__(
        self, figures: Figures, tallies: Tallies, tail: Tail, remembered: Callable[[], Remembered | None]
    ) -> None:
        self._figures = figures
        self._tallies = tallies
        self._tail = tail
        self._remembered = remembered
        self._gauges: Gauges = lambda _name: ()
        self._counters: dict[str, dict[Labels, float]] = {}
        self._shown: dict[str, Gauge] = {}

    def ask(self, gauges: Gauges) -> None:
        """From now on the figures tell the gauges of the workers, too."""
        self._gauges = gauges
        self.show()

    def take(self, message: FromWorker) -> None:
        """Add what a worker has told."""
        match message:
            case Beat():
                for domain, beat in message.domains.items():
                    if beat.ended:
                        self._tallies.add(domain, Seen(beat.ended, beat.skipped))
                self._tail.add_all(message.ended, message.missed)
                if message.figures is not None:
                    self._count(message.figures)
            case Remembering(requests) if (remembered := self._remembered()) is not None:
                for trace, request in requests:
                    remembered.add(trace, request)

    def show(self) -> None:
        """Have every figure of this process tell of all; those that were registered anew meanwhile among them."""
        for gauge in self._figures.gauges():
            if self._shown.get(gauge.name) is not gauge:
                self._shown[gauge.name] = self._whole(gauge)
                self._figures.gauge(self._shown[gauge.name])

    def _count(self, found: Increments) -> None:
        for name, labels, added in found.counters:
            series = self._counters.setdefault(name, {})
            series[labels] = series.get(labels, 0.0) + added
        for one in found.timings:
            self._figures.absorb(one.name, one.labels, one.counts, one.seconds, one.examples)
        self.show()

    def _whole(self, gauge: Gauge) -> Gauge:
        """`gauge` with what the workers say of it. It may be read on another thread."""

        def counted() -> dict[Labels, float]:
            found = {labels: float(value) for labels, value in gauge.read().items()}
            # Copied at once, before the next increment can come.
            for labels, value in dict(self._counters.get(gauge.name, {})).items():
                found[labels] = found.get(labels, 0.0) + value
            return found

        def asked() -> dict[Labels, float]:
            every = [dict(gauge.read()), *(dict(one) for one in self._gauges(gauge.name))]
            return merged(((labels, float(value)) for one in every for labels, value in one.items()), gauge.name)

        return replace(gauge, read=counted if gauge.counter else asked)
