"""Months of predictions in the archive in the object store, for readers to look up.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table `archives`."""
    op.create_table(
        "archives",
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("content", sa.String(16), primary_key=True),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("stored_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    """Drop the table; the archive stays in the object store, and `deposit archive` records it again."""
    op.drop_table("archives")
