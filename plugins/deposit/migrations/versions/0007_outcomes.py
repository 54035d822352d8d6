"""Order of the outcomes of one prediction: a stated time later than its receipt counts as the receipt; outcomes by day.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# Without SET, so that it can be inlined; names in the body are resolved when the function is created.
_MOMENT = """
CREATE FUNCTION public.outcome_moment(at timestamptz, received_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(at, received_at)
"""
_CURRENT = """
CREATE OR REPLACE VIEW public.current_outcomes AS
SELECT DISTINCT ON (prediction_id) prediction_id, subscribed, at, received_at, client, request_id
FROM public.outcomes ORDER BY prediction_id, {moment} DESC, id DESC
"""
# a dashboard's time filter needs a plain column, not an expression; a period may be a month
_DAILY = """
CREATE VIEW public.daily_outcomes AS
SELECT CASE WHEN length(period) = 10 THEN period::timestamp END AT TIME ZONE 'UTC' AS at, "column" AS client,
    max(value) FILTER (WHERE name = 'outcomes_received') AS received,
    max(value) FILTER (WHERE name = 'outcomes_unknown') AS unknown,
    max(value) FILTER (WHERE name = 'outcomes_unknown_limit') AS unknown_limit
FROM public.metrics
WHERE scope = 'service' AND name IN ('outcomes_received', 'outcomes_unknown', 'outcomes_unknown_limit')
GROUP BY 1, 2
"""


def upgrade() -> None:
    """Order outcomes by stated time, but at most the time of receipt; create a view for dashboards."""
    op.execute(_MOMENT)
    op.execute(_CURRENT.format(moment="public.outcome_moment(at, received_at)"))
    op.execute(_DAILY)


def downgrade() -> None:
    """Order by the stated time again, and drop the view."""
    op.execute("DROP VIEW public.daily_outcomes")
    op.execute(_CURRENT.format(moment="at"))
    op.execute("DROP FUNCTION public.outcome_moment(timestamptz, timestamptz)")
