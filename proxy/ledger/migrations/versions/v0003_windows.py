"""Counts belong to a window of their domain; what was counted before is in one of its own.

Nobody knows which rules that belongs to, so the first process that says what its rules are begins a new window.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from proxy.ledger.windows import BEFORE_WHY, UNKNOWN_PARTS, before_id

revision = "0003"
down_revision = "0002"

OLD = ("observed", "verdicts", "minutes", "tolerated", "entities", "entity_counts")
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
AT_ONCE = 10_000
"""Hashes held in memory."""


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True, nullable=False)


def _number(name: str, kind: sa.types.TypeEngine[int] | type[sa.Integer] = sa.BigInteger) -> sa.Column[int]:
    return sa.Column(name, kind, primary_key=True, nullable=False)


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def _count(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.drop_index("minutes_by_time", "minutes")
    for name in OLD:
        op.rename_table(name, f"{name}_0002")
    _make_tables()
    _begin_windows()
    op.execute(
        'INSERT INTO observed (run, "window", domain, route, observed, begun, settled) '
        "SELECT run, w.id, w.domain, route, observed, begun, settled "
        "FROM observed_0002 JOIN windows AS w USING (domain)"
    )
    op.execute(
        'INSERT INTO verdicts (domain, route, "window", verdict, n, known_gaps, first_minute, last_minute, last_at) '
        "SELECT w.domain, route, w.id, verdict, n, 0, first_minute, last_minute, last_at "
        "FROM verdicts_0002 JOIN windows AS w USING (domain)"
    )
    op.execute(
        "INSERT INTO minutes (domain, verdict, minute, n) "
        "SELECT domain, verdict, minute, sum(n) FROM minutes_0002 GROUP BY domain, verdict, minute"
    )
    op.execute(
        'INSERT INTO tolerated ("window", domain, route, kind, path, rule, n) '
        "SELECT w.id, w.domain, route, kind, path, rule, n FROM tolerated_0002 JOIN windows AS w USING (domain)"
    )
    op.execute(
        'INSERT INTO entity_counts ("window", domain, kind, n) '
        "SELECT w.id, w.domain, '', n FROM entity_counts_0002 JOIN windows AS w USING (domain)"
    )
    _move_entities()
    for name in OLD:
        op.drop_table(f"{name}_0002")


def _make_tables() -> None:
    op.create_table(
        "windows",
        _number("seq", SERIAL),
        *_text("id", "domain"),
        sa.Column("parts", sa.Text, nullable=False),
        *_count("started_at"),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index("windows_by_id", "windows", ["id"], unique=True)
    op.create_index("windows_by_domain", "windows", ["domain", "seq"])
    op.create_table("joined", _key("run"), _key("own"), *_text("window"))
    op.create_table(
        "observed",
        *map(_key, ("run", "window", "domain", "route")),
        *_count("observed", "begun", "settled"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "verdicts",
        *map(_key, ("domain", "route", "window", "verdict")),
        *_count("n", "known_gaps", "first_minute", "last_minute", "last_at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "minutes", *map(_key, ("domain", "verdict")), _number("minute"), *_count("n"), sqlite_with_rowid=False
    )
    op.create_table(
        "tolerated",
        *map(_key, ("window", "domain", "route", "kind", "path", "rule")),
        *_count("n"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "latency",
        *map(_key, ("window", "domain", "side")),
        _number("bucket", sa.Integer),
        *_count("n"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "watches",
        *map(_key, ("window", "domain")),
        _number("began"),
        *_count("ended"),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entity_counts",
        _number("id", SERIAL),
        *_text("window", "domain", "kind"),
        *_count("n"),
        sa.Column("sketch", sa.LargeBinary),
    )
    op.create_index("entity_counts_by_window", "entity_counts", ["window", "domain", "kind"], unique=True)
    op.create_table("entities", _number("count_id", SERIAL), _number("hash"), sqlite_with_rowid=False)


def _begin_windows() -> None:
    connection = op.get_bind()
    began = connection.execute(
        sa.text(
            "SELECT domain, coalesce((SELECT min(first_minute) * 60000000 FROM verdicts_0002 AS v "
            "WHERE v.domain = one.domain), (SELECT min(started_at) FROM runs), 0) "
            "FROM (SELECT domain FROM observed_0002 UNION SELECT domain FROM verdicts_0002 "
            "UNION SELECT domain FROM tolerated_0002 UNION SELECT domain FROM entity_counts_0002) AS one "
            "ORDER BY domain"
        )
    ).all()
    windows = sa.table("windows", *map(sa.column, ("id", "domain", "parts", "started_at", "why")))
    for domain, at in began:
        connection.execute(
            windows.insert().values(
                id=before_id(domain), domain=domain, parts=UNKNOWN_PARTS, started_at=at, why=BEFORE_WHY
            )
        )


def _move_entities() -> None:
    """The hashes of eight bytes become whole numbers."""
    connection = op.get_bind()
    entities = sa.table("entities", sa.column("count_id"), sa.column("hash"))
    found = connection.execute(
        sa.text("SELECT c.id, old.hash FROM entities_0002 AS old JOIN entity_counts AS c ON c.domain = old.domain")
    )
    for rows in found.partitions(AT_ONCE):
        numbers = [{"count_id": of, "hash": int.from_bytes(one, signed=True)} for of, one in rows]
        connection.execute(entities.insert(), numbers)
