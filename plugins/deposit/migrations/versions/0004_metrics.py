"""Metrics of monitoring by period: one row per metric, so that a new metric needs no new column.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# a dashboard's time filter needs a plain column, not an expression
_MONTHLY = """
CREATE VIEW public.monthly_metrics AS
SELECT (period || '-01')::timestamp AT TIME ZONE 'UTC' AS at, period, scope AS model_id, name, "column", value, note
FROM public.metrics WHERE length(period) = 7 AND scope <> 'service'
"""


def upgrade() -> None:
    """Create the table `metrics`, and a view of the monthly metrics for dashboards."""
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
    op.execute(_MONTHLY)


def downgrade() -> None:
    """Drop the table and the view."""
    op.execute("DROP VIEW public.monthly_metrics")
    op.drop_table("metrics")
