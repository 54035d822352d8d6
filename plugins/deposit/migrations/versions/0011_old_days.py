"""Find old partitions by comparing names: the planner may evaluate a conversion to a date for any relation's name.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_BY_DATE = "to_date(right(relname, 8), 'YYYYMMDD') < current_date - keep_days"
_BY_NAME = "relname < 'predictions_' || to_char(current_date - keep_days, 'YYYYMMDD')"
_REPLACE = """
DO $do$ BEGIN
    EXECUTE replace(pg_get_functiondef('public.drop_prediction_day(integer)'::regprocedure), $${old}$$, $${new}$$);
END $do$
"""


def upgrade() -> None:
    """Replace the condition; a function that is replaced keeps its grants."""
    op.execute(_REPLACE.format(old=_BY_DATE, new=_BY_NAME))


def downgrade() -> None:
    """Put the old condition back."""
    op.execute(_REPLACE.format(old=_BY_NAME, new=_BY_DATE))
