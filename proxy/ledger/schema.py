"""The tables of the ledger as the code uses them. The migrations make them; a test holds the two together.

Times are microseconds since the epoch, minutes are minutes since the epoch, both UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

REVISIONS = ("0001", "0002")
"""Every schema this code can read or bring forward, oldest first; the last one is the current."""

metadata = MetaData()


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
)

observed = Table(
    "observed",
    metadata,
    _key("run"),
    _key("domain"),
    _key("route"),
    _count("observed"),
    _count("begun"),
    _count("settled"),
)

verdicts = Table(
    "verdicts",
    metadata,
    _key("domain"),
    _key("route"),
    _key("verdict"),
    _count("n"),
    _count("first_minute"),
    _count("last_minute"),
    _count("last_at"),
)

minutes = Table(
    "minutes",
    metadata,
    _key("domain"),
    _key("route"),
    _key("verdict"),
    Column("minute", BigInteger, primary_key=True, nullable=False),
    _count("n"),
    Index("minutes_by_time", "minute"),
)

tolerated = Table(
    "tolerated",
    metadata,
    _key("domain"),
    _key("route"),
    _key("kind"),
    _key("path"),
    _key("rule"),
    _count("n"),
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

entities = Table("entities", metadata, _key("domain"), Column("hash", LargeBinary, primary_key=True, nullable=False))
entity_counts = Table("entity_counts", metadata, _key("domain"), _count("n"))

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("domain", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("result", Text, nullable=False),
    Index("decisions_by_domain", "domain", "id"),
)
