"""Sweeps and how far they came; what the id map knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("domain", sa.String, primary_key=True, nullable=False),
        sa.Column("route", sa.String, primary_key=True, nullable=False),
        sa.Column("window", sa.String, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("found", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Text, nullable=False),
        sa.Column("finished", sa.Integer, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "known_entities",
        sa.Column("entity", sa.String, primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("exact", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
