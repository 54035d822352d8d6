"""Alembic's entry point: runs the revisions on the connection that `deposit.database.migrate` passes."""

from alembic import context

from deposit.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
