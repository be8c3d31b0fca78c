"""Findings have a life; decisions are a chain, into which those made before are taken in their order."""

from __future__ import annotations

import hashlib
import json
import zlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

AT_ONCE = 100
"""Decisions held in memory; one may be large."""


def upgrade() -> None:
    _give_lives()
    op.rename_table("decisions", "decisions_0003")
    op.drop_index("decisions_by_domain", "decisions_0003")
    made = op.create_table(
        "decisions",
        sa.Column("seq", sa.Integer, primary_key=True, nullable=False),
        sa.Column("prev", sa.String, nullable=False),
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("decisions_by_domain", "decisions", ["domain", "seq"])
    _chain(made)
    op.drop_table("decisions_0003")


def _give_lives() -> None:
    for name in ("known_gap", "seen_comparisons"):
        op.add_column("findings", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("findings", sa.Column("gone_at", sa.BigInteger))
    op.add_column("findings", sa.Column("gone_why", sa.Text))
    op.add_column("findings", sa.Column("returned_at", sa.BigInteger))
    of_route = ["domain", "route", "gone_at", "returned_at", "seen_comparisons"]
    op.create_index("findings_by_route", "findings", of_route)
    # How many comparisons ago each was last seen was not kept: all count as seen by the last one.
    op.execute(
        "UPDATE findings SET seen_comparisons = coalesce((SELECT sum(n) FROM verdicts WHERE "
        "verdicts.domain = findings.domain AND verdicts.route = findings.route AND "
        "verdicts.verdict IN ('match', 'diff', 'transient', 'unstable')), 0)"
    )
    op.create_table(
        "acceptances",
        sa.Column("finding", sa.String, primary_key=True, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("until", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _chain(made: sa.Table) -> None:
    connection = op.get_bind()
    prev, seq, last = "0" * 64, 0, -1
    old = sa.text("SELECT id, domain, at, state, result FROM decisions_0003 WHERE id > :last ORDER BY id LIMIT :most")
    while rows := connection.execute(old, {"last": last, "most": AT_ONCE}).all():
        for last, domain, at, state, result in rows:  # noqa: B007 - the next rows are those behind the last one
            seq += 1
            body = result.encode()  # as it was stored
            digest = hashlib.sha256(body).hexdigest()
            stated = json.dumps(
                {"at": at, "digest": digest, "domain": domain, "seq": seq, "state": state}, separators=(",", ":")
            ).encode()
            hashed = hashlib.sha256(prev.encode() + stated).hexdigest()
            values = {"seq": seq, "prev": prev, "domain": domain, "at": at, "state": state, "digest": digest}
            connection.execute(made.insert().values(**values, hash=hashed, body=zlib.compress(body)))
            prev = hashed
    meta = sa.table("meta", sa.column("name"), sa.column("value"))
    head = [{"name": "decisions_head", "value": prev}, {"name": "decisions_count", "value": str(seq)}]
    connection.execute(meta.insert(), head)
