"""The blocks of the configuration that are the same for every domain.

Durations are seconds, sizes are bytes; a file writes them with units.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag, model_validator

from comparators.paths import compile_path
from proxy.settings.types import (
    Address,
    Count,
    Dsn,
    Duration,
    Factor,
    FilePath,
    Fraction,
    HostPort,
    Identifier,
    JsonPath,
    LedgerUrl,
    MongoDatabase,
    MongoUrl,
    OptionalTraceLink,
    OptionalUrl,
    Size,
    Switch,
    Table,
)
from proxy.window import Check

STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)


class Block(BaseModel):
    """A mapping of the configuration file."""

    model_config = STRICT


class AdminSettings(Block):
    """The admin site: dashboard, API, metrics and health."""

    listen: Address = HostPort("127.0.0.1", 8081)
    """Address of the admin site; anything but loopback needs a token."""
    token: SecretStr = SecretStr("")
    """Bearer token that the admin site asks for (`/healthz` and `/readyz` stay open); empty asks for none."""
    session: Annotated[Duration, Field(ge=60, le=30 * 86400)] = 43_200.0
    """How long a browser that gave the token once need not give it again."""
    trace_link: OptionalTraceLink = None
    """Address of a distributed trace in your tracing system, with `{trace_id}` where its 32 hex digits go."""

    @model_validator(mode="after")
    def _guarded(self) -> AdminSettings:
        if not self.listen.loopback and not self.token.get_secret_value():
            raise ValueError(
                f"{self.listen} can be reached from other machines, so a token is needed; "
                "set admin.token or listen on 127.0.0.1"
            )
        return self


class PrimarySettings(Block):
    """The authoritative side: what it answers is what the client gets."""

    url: OptionalUrl = None
    """Scheme, host and port of the primary; only where every route has its own `primary` reader can it be left out."""
    connect_timeout: Annotated[Duration, Field(gt=0, le=600)] = 2.0
    """How long opening a connection may take before the client gets a 504."""
    idle_timeout: Annotated[Duration, Field(gt=0, le=86400)] = 60.0
    """How long the primary may stay silent within an exchange before it is given up."""
    forwarded: Literal["append", "replace", "off"] = "append"
    """What becomes of the `Forwarded` and `X-Forwarded-*` headers."""


class BreakerSettings(Block):
    """Stops asking a shadow that is down; what is not asked is counted as `skipped:breaker_open`."""

    failures: Annotated[Count, Field(ge=1, le=1_000_000)] = 20
    """Failed shadow reads in a row that open the breaker."""
    open_for: Annotated[Duration, Field(gt=0, le=86400)] = 10.0
    """How long it stays open before one read tries again."""


class ShadowSettings(Block):
    """The side under verification: no client sees what it answers."""

    url: OptionalUrl = None
    """Scheme, host and port of the shadow; without it only routes with their own `shadow` reader are verified."""
    timeout: Annotated[Duration, Field(gt=0, le=600)] = 5.0
    """How long one shadow read may take from asking to the last byte."""
    connect_timeout: Annotated[Duration, Field(gt=0, le=600)] = 2.0
    """How long opening a connection may take; part of `timeout`."""
    max_concurrency: Annotated[Count, Field(ge=1, le=10_000)] = 64
    """Verification reads under way at once; more wait in the queue (`limits.queue`)."""
    translate_ids: Switch = False
    """Asks the shadow by uuid where the client asked by legacy id (path, query, JSON body); the id map joins them."""
    breaker: BreakerSettings = BreakerSettings()


class PostgresSettings(Block):
    """The Postgres that holds the id map, and the tables that `postgres` readers of routes read."""

    dsn: Dsn
    """Connection string; the account needs no more than SELECT."""
    connections: Annotated[Count, Field(ge=1, le=1_000)] = 8
    """Connections at most for direct reads; the id map has its own."""
    statement_timeout: Annotated[Duration, Field(ge=0.001, le=600)] = 2.0
    """How long the server works on one statement of a direct read before it gives it up."""
    lock_timeout: Annotated[Duration, Field(ge=0.001, le=600)] = 0.5
    """How long the server waits for a lock in a direct read."""


class MongoSettings(Block):
    """The MongoDB that `mongo` readers of routes read."""

    url: MongoUrl
    """Connection string; the account needs no more than the `read` role."""
    database: MongoDatabase
    """The database of the collections."""
    connections: Annotated[Count, Field(ge=1, le=1_000)] = 8
    """Connections to one server at most."""
    max_time: Annotated[Duration, Field(ge=0.001, le=600)] = 2.0
    """How long the server works on one query before it gives it up (`maxTimeMS`)."""
    read_preference: Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"] = "primary"
    """Which members of a replica set are asked. Anything but `primary` may be behind what the backend sees."""


class ColumnSource(Block):
    """Id pairs from a table in which a column names the entity."""

    table: Table
    """The table, with its schema where it needs one."""
    entity: Identifier
    """The column that names the entity."""
    legacy: Identifier
    """The column with the 24-hex ObjectId."""
    uuid: Identifier
    """The column with the uuid."""


class NamedSource(Block):
    """Id pairs from a table that bears one entity."""

    table: Table
    """The table, with its schema where it needs one."""
    entity_name: Annotated[str, Field(min_length=1, max_length=200)]
    """The entity of every row."""
    legacy: Identifier
    """The column with the 24-hex ObjectId."""
    uuid: Identifier
    """The column with the uuid."""


class FileSource(Block):
    """Id pairs from a JSON list of `{"entity", "legacy", "uuid"}`."""

    file: FilePath
    """The file, relative to the configuration's folder."""


def _source_kind(value: Any) -> str:
    names = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "<file>" if "file" in names else "<named>" if "entity_name" in names else "<column>"


IdSource = Annotated[
    Annotated[ColumnSource, Tag("<column>")]
    | Annotated[NamedSource, Tag("<named>")]
    | Annotated[FileSource, Tag("<file>")],
    Discriminator(_source_kind),
]


class IdsSettings(Block):
    """Where the pairs of ObjectId and uuid are read from."""

    sources: Annotated[list[IdSource], Field(max_length=200)] = []
    """Tables and files, all of them asked; without any, ids are compared as plain text."""
    cache: Annotated[Count, Field(ge=1, le=50_000_000)] = 200_000
    """Pairs kept in memory, the longest unused dropped first."""


class LedgerSettings(Block):
    """The durable record of verdicts, findings, traces and gate decisions."""

    url: Annotated[LedgerUrl, Field(repr=False)] = "sqlite:///shadowread.db"
    """An SQLite file (three slashes are relative to the working directory, four absolute) or a Postgres database, whose
    schema `shadowread` it takes, or the one named by `?schema=`; proxies on several machines may share that."""
    journal: FilePath | None = None
    """Folder for the journal of each process with a ledger in Postgres, kept over restarts, one for each machine; it
    counts what was under way when a process died. Default: the working directory. Beside an SQLite file it lies there.
    """
    flush: Annotated[Duration, Field(gt=0, le=60)] = 0.5
    """How long results are gathered before they are written together."""

    @model_validator(mode="after")
    def _journal_of_its_own(self) -> LedgerSettings:
        if self.journal is not None and self.url.startswith("sqlite:"):
            raise ValueError("journal is of no use with an SQLite file, beside which the journals lie; remove it")
        return self


class SettleSettings(Block):
    """Reading both sides again before a difference is believed."""

    delay: Annotated[Duration, Field(ge=0, le=600)] = 0.5
    """Wait before the first new reading."""
    factor: Factor = 2.0
    """What each further wait is multiplied by."""
    attempts: Annotated[Count, Field(ge=0, le=10)] = 3
    """New readings at most; 0 believes a difference at once."""


class LimitsSettings(Block):
    """Bounds of what is held in memory and on disk. What does not fit is counted, never dropped in silence."""

    body: Annotated[Size, Field(ge=1, le=1024**3)] = 8 * 1024**2
    """Largest response body that is compared; larger ones pass through and count as `skipped:too_large`."""
    depth: Annotated[Count, Field(ge=1, le=2_000)] = 200
    """Deepest nesting of a JSON body that is compared."""
    traces: Annotated[Count, Field(ge=0, le=10_000_000)] = 10_000
    """Traces kept; the oldest go first, but the first one of each finding stays."""
    trace_bytes: Annotated[Size, Field(ge=0, le=1024**4)] = 256 * 1024**2
    """Bytes of all traces together."""
    trace_body: Annotated[Size, Field(ge=0, le=1024**3)] = 8 * 1024**2
    """Largest body that a trace keeps, compressed and redacted; of a larger one only the differences are kept."""
    findings: Annotated[Count, Field(ge=1, le=1_000_000)] = 5_000
    """Findings kept; differences beyond are counted together."""
    queue: Annotated[Count, Field(ge=1, le=1_000_000)] = 1_000
    """Exchanges under verification at once, settling ones included; more count as `skipped:no_room`."""
    buffered: Annotated[Size, Field(ge=1, le=1024**4)] = 256 * 1024**2
    """Bytes of both sides' answers held for all exchanges together; what does not fit counts as `skipped:no_room`."""
    clients: Annotated[Count, Field(ge=1, le=1_000_000)] = 16_384
    """Client connections open at once; one more is answered with 503 and closed."""
    differences: Annotated[Count, Field(ge=1, le=100_000)] = 100
    """Differences recorded for one exchange; the number of all is kept."""
    memo: Annotated[Size, Field(ge=0, le=1024**4)] = 64 * 1024**2
    """Bytes of pairs seen equal that are kept, for under the same rules and ids one comparison of a pair will do."""
    busy: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of a processor core that the proxy may need before it verifies less, for its clients' sake: what it then
    leaves out counts as `skipped:no_room`. 1: never."""
    workers: Annotated[Count, Field(ge=1, le=64)] = 1
    """Processes beside the proxy that compare large bodies, so that no client waits for it."""


class FindingsSettings(Block):
    """The life of findings: when one that is no longer seen counts as gone."""

    gone_after: Annotated[Count, Field(ge=1, le=10**12)] = 1_000
    """Comparisons of its route without it after which a finding is gone; seen again after that, it has returned."""


class ExamineSettings(Block):
    """Examination of matched pairs: which fields they carry, and whether damage to them would be seen."""

    share: Fraction = 0.05
    """Share of one processor core that examinations may take; 0 switches them off."""
    damages: Annotated[Count, Field(ge=1, le=1_000)] = 40
    """How many damages of one pair are tried at most."""


DAY = 86_400.0
Comparisons = Annotated[Count, Field(ge=1, le=10**12)]
Several = Annotated[Count, Field(ge=0, le=10**12)]
Stretch = Annotated[Duration, Field(ge=0, le=366 * DAY)]
Proofs = Annotated[list[Check], Field(max_length=3)]


def _not_everything(text: str) -> str:
    if not compile_path(text).concrete:
        raise ValueError(f"{text!r} would accept everything; name at least one field")
    return text


BlindPaths = Annotated[list[Annotated[JsonPath, AfterValidator(_not_everything)]], Field(max_length=1_000)]


class GateSettings(Block):
    """What a domain must show before its gate opens; all of it must hold, in the domain's current window."""

    min_comparisons: Comparisons = 10_000
    """Comparisons at least."""
    min_route_comparisons: Comparisons = 30
    """Comparisons of each route at least."""
    min_entities: Several = 100
    """Distinct entities of each kind at least that the domain's routes name, or all that the id map knows of it."""
    min_soak: Stretch = DAY
    """How long the domain must have been watched without a hole longer than `max_hole`; shorter holes do not count."""
    max_hole: Stretch = 600.0
    """The longest time without watching after which the watched time does not start anew."""
    shelf_life: Annotated[Duration, Field(gt=0, le=366 * DAY)] = DAY
    """How old the last comparison, and the proof of what was read, may be."""
    max_diffs: Several = 0
    """Differences at most."""
    max_upper_bound: Fraction = 0.0005
    """Highest 95 % upper bound of the diff rate (Clopper-Pearson)."""
    max_route_upper_bound: Fraction = 0.1
    """The same for the route whose bound is the highest."""
    max_unstable_rate: Fraction = 0.05
    """Highest share of comparisons in which the primary disagreed with itself."""
    max_failure_rate: Fraction = 0.001
    """Highest share of exchanges whose shadow read failed or was lost."""
    max_skip_rate: Fraction = 0.05
    """Highest share of exchanges that were skipped; not those that sampling left out or a pause."""
    provenance: Proofs = ["health", "scans"]
    """The checks that must prove that the shadow reads its own store; with none of them the gate says so."""
    min_sensitivity: Fraction = 0.9
    """Lowest share of planted damage that the rules let through as a difference."""
    min_damages: Several = 100
    """Planted damages at least."""
    accept_blind: BlindPaths = []
    """JSON paths at which planted damage may go unseen."""
    max_latency_ratio: Factor = 2.0
    """Slowest that the shadow may be: the 95th percentile of its reads over that of the primary's."""


class GateOverride(Block):
    """The limits of one domain; what is not given is as for all."""

    min_comparisons: Comparisons | None = None
    min_route_comparisons: Comparisons | None = None
    min_entities: Several | None = None
    min_soak: Stretch | None = None
    max_hole: Stretch | None = None
    shelf_life: Annotated[Duration, Field(gt=0, le=366 * DAY)] | None = None
    max_diffs: Several | None = None
    max_upper_bound: Fraction | None = None
    max_route_upper_bound: Fraction | None = None
    max_unstable_rate: Fraction | None = None
    max_failure_rate: Fraction | None = None
    max_skip_rate: Fraction | None = None
    provenance: Proofs | None = None
    min_sensitivity: Fraction | None = None
    min_damages: Several | None = None
    accept_blind: BlindPaths | None = None
    max_latency_ratio: Factor | None = None
