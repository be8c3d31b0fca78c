"""Tolerances are counted by the rule that forgave, too; what was counted before bears no rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEYS = ("domain", "route", "kind", "path")


def upgrade() -> None:
    # SQLite cannot widen a primary key in place.
    op.rename_table("tolerated", "tolerated_0001")
    op.create_table(
        "tolerated",
        *(sa.Column(name, sa.String, primary_key=True, nullable=False) for name in (*KEYS, "rule")),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO tolerated (domain, route, kind, path, rule, n) "
        "SELECT domain, route, kind, path, '', n FROM tolerated_0001"
    )
    op.drop_table("tolerated_0001")
