"""Runs know where their journal lies and when they last wrote: proxies on several machines may share a ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("runs", sa.Column("place", sa.String, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("written_at", sa.BigInteger, nullable=False, server_default="0"))
