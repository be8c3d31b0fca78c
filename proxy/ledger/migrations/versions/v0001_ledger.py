"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True, nullable=False)


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def _count(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table("meta", _key("name"), *_text("value"))
    op.create_table(
        "runs",
        _key("id"),
        *_text("host"),
        sa.Column("pid", sa.Integer, nullable=False),
        *_count("pid_start", "started_at"),
        sa.Column("closed_at", sa.BigInteger),
        *_count("sequence"),
    )
    op.create_table("observed", _key("run"), _key("domain"), _key("route"), *_count("observed", "begun", "settled"))
    op.create_table(
        "verdicts",
        _key("domain"),
        _key("route"),
        _key("verdict"),
        *_count("n", "first_minute", "last_minute", "last_at"),
    )
    op.create_table(
        "minutes",
        _key("domain"),
        _key("route"),
        _key("verdict"),
        sa.Column("minute", sa.BigInteger, primary_key=True, nullable=False),
        *_count("n"),
    )
    op.create_index("minutes_by_time", "minutes", ["minute"])
    op.create_table("tolerated", _key("domain"), _key("route"), _key("kind"), _key("path"), *_count("n"))
    op.create_table(
        "findings",
        _key("id"),
        *_text("domain", "route", "path", "kind"),
        *_count("exchanges", "differences", "first_at", "last_at"),
        sa.Column("first_trace", sa.String),
        sa.Column("last_trace", sa.String),
        sa.Column("sample_primary", sa.Text),
        sa.Column("sample_shadow", sa.Text),
    )
    op.create_table("overflow", _key("domain"), *_count("differences"))
    op.create_table(
        "traces",
        _key("id"),
        *_count("at"),
        *_text("domain", "route", "verdict", "method", "target"),
        sa.Column("primary_status", sa.Integer),
        sa.Column("shadow_status", sa.Integer),
        *_count("differences_total"),
        sa.Column("kept", sa.Integer, nullable=False),
        *_count("bytes"),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("traces_by_age", "traces", ["kept", "at", "id", "bytes"])
    op.create_index("traces_by_domain", "traces", ["domain", "at", "id"])
    op.create_table("finding_traces", _key("finding"), _key("trace"))
    op.create_index("finding_traces_by_trace", "finding_traces", ["trace"])
    op.create_table("entities", _key("domain"), sa.Column("hash", sa.LargeBinary, primary_key=True, nullable=False))
    op.create_table("entity_counts", _key("domain"), *_count("n"))
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        *_text("domain"),
        *_count("at"),
        *_text("state"),
        sa.Column("result", sa.Text, nullable=False),
    )
    op.create_index("decisions_by_domain", "decisions", ["domain", "id"])
