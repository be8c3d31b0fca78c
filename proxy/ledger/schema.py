"""The tables of the ledger as the code uses them. The migrations make them; a test holds the two together.

Times are microseconds since the epoch, minutes are minutes since the epoch, both UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every schema this code can read or bring forward, oldest first; the last one is the current."""

metadata = MetaData()

SERIAL = BigInteger().with_variant(Integer, "sqlite")
"""Numbers that the database gives out: SQLite does so for INTEGER alone, Postgres uses some up for nothing."""


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True, nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


meta = Table("meta", metadata, _key("name"), Column("value", String, nullable=False))

runs = Table(
    "runs",
    metadata,
    _key("id"),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pid_start", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("sequence", BigInteger, nullable=False),
    Column("place", String, nullable=False, server_default=""),
    Column("written_at", BigInteger, nullable=False, server_default="0"),
)
"""`place` tells where the journal lies, see `Store.place`."""

windows = Table(
    "windows",
    metadata,
    Column("seq", SERIAL, primary_key=True, nullable=False),
    Column("id", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("parts", Text, nullable=False),
    _count("started_at"),
    Column("why", Text, nullable=False),
    Index("windows_by_id", "id", unique=True),
    Index("windows_by_domain", "domain", "seq"),
)
"""The one with the greatest `seq` is the current one of its domain; `parts` is JSON."""

joined = Table("joined", metadata, _key("run"), _key("own"), Column("window", String, nullable=False))
"""Windows that a run began in its journal and then shared with another process: which one they became."""

observed = Table(
    "observed",
    metadata,
    _key("run"),
    _key("window"),
    _key("domain"),
    _key("route"),
    _count("observed"),
    _count("begun"),
    _count("settled"),
    sqlite_with_rowid=False,
)
"""What has run '' is of all closed runs, what has window '' of all windows that are no longer kept."""

verdicts = Table(
    "verdicts",
    metadata,
    _key("domain"),
    _key("route"),
    _key("window"),
    _key("verdict"),
    _count("n"),
    _count("known_gaps"),
    _count("first_minute"),
    _count("last_minute"),
    _count("last_at"),
    sqlite_with_rowid=False,
)
"""What has window '' is of all windows that are no longer kept."""

minutes = Table(
    "minutes",
    metadata,
    _key("domain"),
    _key("verdict"),
    Column("minute", BigInteger, primary_key=True, nullable=False),
    _count("n"),
    sqlite_with_rowid=False,
)

tolerated = Table(
    "tolerated",
    metadata,
    _key("window"),
    _key("domain"),
    _key("route"),
    _key("kind"),
    _key("path"),
    _key("rule"),
    _count("n"),
    sqlite_with_rowid=False,
)

latency = Table(
    "latency",
    metadata,
    _key("window"),
    _key("domain"),
    _key("side"),
    Column("bucket", Integer, primary_key=True, nullable=False),
    _count("n"),
    sqlite_with_rowid=False,
)

watches = Table(
    "watches",
    metadata,
    _key("window"),
    _key("domain"),
    Column("began", BigInteger, primary_key=True, nullable=False),
    _count("ended"),
    Column("why", Text, nullable=False),
    sqlite_with_rowid=False,
)

findings = Table(
    "findings",
    metadata,
    _key("id"),
    Column("domain", String, nullable=False),
    Column("route", String, nullable=False),
    Column("path", String, nullable=False),
    Column("kind", String, nullable=False),
    _count("exchanges"),
    _count("differences"),
    _count("first_at"),
    _count("last_at"),
    Column("first_trace", String),
    Column("last_trace", String),
    Column("sample_primary", Text),
    Column("sample_shadow", Text),
    _count("known_gap"),
    _count("seen_comparisons"),
    Column("gone_at", BigInteger),
    Column("gone_why", Text),
    Column("returned_at", BigInteger),
    Index("findings_by_route", "domain", "route", "gone_at", "returned_at", "seen_comparisons"),
)

acceptances = Table(
    "acceptances",
    metadata,
    _key("finding"),
    Column("owner", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("until", String, nullable=False),
    _count("at"),
)

overflow = Table("overflow", metadata, _key("domain"), _count("differences"))

traces = Table(
    "traces",
    metadata,
    _key("id"),
    Column("at", BigInteger, nullable=False),
    Column("domain", String, nullable=False),
    Column("route", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("method", String, nullable=False),
    Column("target", String, nullable=False),
    Column("primary_status", Integer),
    Column("shadow_status", Integer),
    _count("differences_total"),
    Column("kept", Integer, nullable=False),
    _count("bytes"),
    Column("body", LargeBinary, nullable=False),
    Index("traces_by_age", "kept", "at", "id", "bytes"),
    Index("traces_by_domain", "domain", "at", "id"),
)

finding_traces = Table(
    "finding_traces", metadata, _key("finding"), _key("trace"), Index("finding_traces_by_trace", "trace")
)

entity_counts = Table(
    "entity_counts",
    metadata,
    Column("id", SERIAL, primary_key=True, nullable=False),
    Column("window", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("kind", String, nullable=False),
    _count("n"),
    Column("sketch", LargeBinary),
    Index("entity_counts_by_window", "window", "domain", "kind", unique=True),
)
"""Distinct entities: those in `entities` as long as there is no sketch."""

entities = Table(
    "entities",
    metadata,
    Column("count_id", SERIAL, primary_key=True, nullable=False),
    Column("hash", BigInteger, primary_key=True, nullable=False),
    sqlite_with_rowid=False,
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Integer, primary_key=True, nullable=False),
    Column("prev", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("body", LargeBinary),
    Index("decisions_by_domain", "domain", "seq"),
)
