"""Rejects name the column and the rule that it broke: one row per violation. Existing rows get the rule `unknown`.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_ONE_A_LINE = """
WITH kept AS (
    SELECT source_sha256, line, min("column") AS "column", string_agg(reason, '; ' ORDER BY "column") AS reason
    FROM public.rejects GROUP BY source_sha256, line
), merged AS (
    UPDATE public.rejects SET reason = kept.reason FROM kept
    WHERE (rejects.source_sha256, rejects.line, rejects."column") = (kept.source_sha256, kept.line, kept."column")
)
DELETE FROM public.rejects USING kept
WHERE (rejects.source_sha256, rejects.line) = (kept.source_sha256, kept.line) AND rejects."column" <> kept."column"
"""


def upgrade() -> None:
    """Add column and rule; a line may then have one row for each of its invalid columns."""
    op.add_column("rejects", sa.Column("column", sa.Text, nullable=False, server_default=""))
    op.add_column("rejects", sa.Column("rule", sa.Text, nullable=False, server_default="unknown"))
    op.drop_constraint("rejects_pkey", "rejects", type_="primary")
    op.create_primary_key("rejects_pkey", "rejects", ["source_sha256", "line", "column"])


def downgrade() -> None:
    """Merge the rows of each line into one with all reasons."""
    op.drop_constraint("rejects_pkey", "rejects", type_="primary")
    op.execute(_ONE_A_LINE)
    op.drop_column("rejects", "rule")
    op.drop_column("rejects", "column")
    op.create_primary_key("rejects_pkey", "rejects", ["source_sha256", "line"])
