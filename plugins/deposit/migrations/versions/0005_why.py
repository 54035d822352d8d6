"""Why a release was requested, and rows for steps of the loop that release nothing.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OF_A_BENTO = ("bento_tag", "bento_uri", "bento_sha256", "target")


def upgrade() -> None:
    """Add `releases.why`, and allow rows without a Bento."""
    op.add_column("releases", sa.Column("why", sa.Text, nullable=False, server_default=""))
    for name in _OF_A_BENTO:
        op.alter_column("releases", name, server_default="")


def downgrade() -> None:
    """Drop the column, and delete the rows without a Bento."""
    op.execute("DELETE FROM public.releases WHERE state = 'noted'")
    for name in _OF_A_BENTO:
        op.alter_column("releases", name, server_default=None)
    op.drop_column("releases", "why")
