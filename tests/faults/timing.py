"""How long a fault lasts, and the proxy's limits meanwhile: short ones for tests, the defaults for a real minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from proxy.ledger import behind, postgres, sqlite
from proxy.settings.blocks import BreakerSettings, PrimarySettings, ShadowSettings


@dataclass(frozen=True)
class Timing:
    """Times are seconds. `pace` is between two requests while a fault lasts, `delay` is how late a slow server is,
    `room` is what a busy machine may take until all is normal, beside what is waited for on purpose.

    What is not said of the proxy's limits is as by default.
    """

    lasting: float
    pace: float
    delay: float
    room: float
    primary: Mapping[str, Any] = field(default_factory=dict)
    shadow: Mapping[str, Any] = field(default_factory=dict)
    postgres: Mapping[str, Any] = field(default_factory=dict)
    mongo: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    settle: Mapping[str, Any] = field(default_factory=dict)
    drain: float = 30.0
    of_ledger: Mapping[str, float] = field(default_factory=dict)
    """Limits that no configuration has: seconds to connect, to lock, of a statement, of an answer, between attempts."""

    @property
    def requests(self) -> int:
        """More than any case sends."""
        return 2_000 + int(self.lasting / self.pace)

    @property
    def shadow_timeout(self) -> float:
        return float(self.shadow.get("timeout", ShadowSettings().timeout))

    @property
    def primary_timeout(self) -> float:
        return float(self.primary.get("idle_timeout", PrimarySettings().idle_timeout))

    @property
    def breaker(self) -> float:
        made = self.shadow.get("breaker", {})
        return float(made.get("open_for", BreakerSettings().open_for))

    @property
    def ledger_retry(self) -> float:
        """The longest wait between two attempts to write, and the longest attempt."""
        longest = self.of_ledger.get("ANSWER_SECONDS", postgres.ANSWER_SECONDS)
        return self.of_ledger.get("SLOWEST_RETRY", behind.SLOWEST_RETRY) + longest

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Meanwhile the ledger's own limits are those of `of_ledger`."""
        with ExitStack() as stack:
            for module in (behind, postgres, sqlite):
                for name in self.of_ledger.keys() & vars(module).keys():
                    stack.enter_context(patch.object(module, name, self.of_ledger[name]))
            yield


QUICK = Timing(
    lasting=1.2,
    pace=0.06,
    delay=0.15,
    room=4.0,
    primary={"idle_timeout": 0.8, "connect_timeout": 0.8},
    shadow={"timeout": 1.0, "connect_timeout": 0.5, "breaker": {"failures": 8, "open_for": 0.4}},
    postgres={"statement_timeout": 0.8},
    mongo={"max_time": 0.8},
    ledger={"flush": 0.05},
    settle={"delay": 0.02, "factor": 1, "attempts": 2},
    drain=3.0,
    of_ledger={
        "CONNECT_SECONDS": 0.5,
        "LOCK_SECONDS": 0.5,
        "STATEMENT_SECONDS": 0.8,
        "ANSWER_SECONDS": 1.0,
        "BUSY_SECONDS": 0.5,
        "SLOWEST_RETRY": 0.6,
    },
)
"""For the test suite."""
MINUTE = Timing(lasting=60.0, pace=0.1, delay=0.5, room=1.0)
"""A minute of each fault under the limits that a configuration has by default."""
