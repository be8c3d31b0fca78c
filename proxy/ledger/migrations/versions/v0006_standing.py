"""Provenance: what the checks said, and the canary's log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True, nullable=False)


def upgrade() -> None:
    op.create_table(
        "standings",
        _key("window"),
        _key("domain"),
        _key("check"),
        sa.Column("proof", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "canaries",
        _key("id"),
        *(sa.Column(name, sa.String, nullable=False) for name in ("domain", "table", "key")),
        sa.Column("row", sa.Text, nullable=False),
        sa.Column("column", sa.String, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("marked", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_start", sa.BigInteger, nullable=False),
    )
