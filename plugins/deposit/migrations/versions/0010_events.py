"""A table of its own for steps of the loop that release nothing, and a view that shows them with the releases.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"

_OF_A_BENTO = ("bento_tag", "bento_uri", "bento_sha256", "target")
# the identity of an event was part of its sentence, from which it is extracted here
_MOVE = """
INSERT INTO public.events (at, kind, model_id, champion, period, day, reason)
SELECT requested_at, kind, model_id,
    coalesce(substring(why FROM ' is refused, (\\S+) stays champion'), ''),
    coalesce(substring(why FROM '^(\\d{4}-\\d{2}(?:-\\d{2})?), seen on \\d{4}-\\d{2}-\\d{2}: '), ''),
    substring(why FROM '^\\d{4}-\\d{2}(?:-\\d{2})?, seen on (\\d{4}-\\d{2}-\\d{2}): ')::date,
    why
FROM public.releases WHERE state = 'noted' ORDER BY id
"""
_MOVE_BACK = """
INSERT INTO public.releases (kind, model_id, why, state, requested_at, updated_at)
SELECT kind, model_id, reason, 'noted', at, at FROM public.events ORDER BY id
"""
_TIMELINE = """
CREATE VIEW public.timeline AS
SELECT requested_at AS at, kind, model_id, state, updated_at, why, reason, target, id AS release_id
FROM public.releases
UNION ALL
SELECT at, kind, model_id, 'noted', at, reason, '', '', NULL FROM public.events
ORDER BY at DESC, release_id DESC
"""


def upgrade() -> None:
    """Create the table `events` and the view `timeline`; move rows that release nothing from `releases` to `events`."""
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("champion", sa.Text, nullable=False, server_default=""),
        sa.Column("period", sa.String(10), nullable=False, server_default=""),
        sa.Column("day", sa.Date),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("details", JSONB, nullable=False, server_default=sa.text("'{}'")),
    )
    op.create_index("events_by_model", "events", ["kind", "model_id"])
    op.execute(_MOVE)
    op.execute("DELETE FROM public.releases WHERE state = 'noted'")
    for name in _OF_A_BENTO:
        op.alter_column("releases", name, server_default=None)
    op.execute(_TIMELINE)


def downgrade() -> None:
    """Move the events back to `releases`, without their details."""
    op.execute("DROP VIEW public.timeline")
    for name in _OF_A_BENTO:
        op.alter_column("releases", name, server_default="")
    op.execute(_MOVE_BACK)
    op.drop_table("events")
