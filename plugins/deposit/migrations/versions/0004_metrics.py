"""What monitoring found, by period: one row a figure, so that a new figure needs no new column.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table `metrics`."""
    op.create_table(
        "metrics",
        sa.Column("period", sa.String(10), primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("column", sa.Text, primary_key=True, server_default=""),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("metrics")
