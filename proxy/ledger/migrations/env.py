"""Run by alembic with the connection that the ledger hands in; there is no alembic.ini and no command line."""

from __future__ import annotations

from alembic import context

from proxy.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
# The transaction is the caller's: the migration and the check of the version before it are one.
context.run_migrations()
