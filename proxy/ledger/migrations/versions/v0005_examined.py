"""What was examined: fields, and damage that was or was not seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "examined_fields",
        _key("window"),
        _key("route"),
        _key("path"),
        _text("domain"),
        *_counts("looked", "present", "null_count", "empty_count", "valued"),
    )
    op.create_table(
        "examined_damages",
        _key("window"),
        _key("route"),
        _key("path"),
        _key("damage"),
        _text("domain"),
        *_counts("tried", "seen"),
        _text("rule"),
    )
