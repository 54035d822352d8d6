"""Counts of predictions and latencies by minute, maintained by triggers; a small index on the request id.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_PREDICTIONS = """
INSERT INTO public.predictions_by_minute AS counted (minute, model_id, client, subscribes, rows, probability_sum)
SELECT date_trunc('minute', event_time, 'UTC'), model_id, client, subscribes, count(*), sum(probability)
FROM {rows} GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
ON CONFLICT (minute, model_id, client, subscribes) DO UPDATE
SET rows = counted.rows + excluded.rows, probability_sum = counted.probability_sum + excluded.probability_sum
"""
_LATENCIES = """
INSERT INTO public.latencies_by_minute AS counted (minute, route, client, model_id, upto, requests)
SELECT date_trunc('minute', at, 'UTC'), route, client, model_id, upto, sum(number)
FROM {rows}, unnest(latency_upto, latency_count) AS bucket (upto, number) GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (minute, route, client, model_id, upto) DO UPDATE SET requests = counted.requests + excluded.requests
"""
# A trigger counts only rows that were really inserted, in the same transaction: shipping a batch again counts nothing
# twice, and the inserting role needs no rights on the counts. The order of rows avoids deadlocks of concurrent inserts.
_COUNT = """
CREATE FUNCTION public.count_{table}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    {counted};
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER {table}_counted AFTER INSERT ON public.{table} REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION public.count_{table}()
"""
_COUNTED = {"predictions": _PREDICTIONS, "traffic": _LATENCIES}
_DROP_DAY = """
CREATE OR REPLACE FUNCTION public.drop_prediction_day(keep_days integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s'
AS $$
DECLARE
    part text;
    needed boolean;
    is_needed CONSTANT text :=
        'SELECT EXISTS (SELECT FROM public.%I WHERE stored_at >= now() - make_interval(days => $1))';
BEGIN
    IF keep_days IS NULL OR keep_days < 1 THEN
        RAISE 'predictions are kept for a day at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR part IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'public.predictions'::regclass
            AND to_date(right(relname, 8), 'YYYYMMDD') < current_date - keep_days
        ORDER BY relname
    LOOP
        EXECUTE format(is_needed, part) INTO needed USING keep_days;
        CONTINUE WHEN needed;
        PERFORM pg_advisory_xact_lock(hashtext('deposit.predictions'));
        EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', part);
        EXECUTE format(is_needed, part) INTO needed USING keep_days;
        CONTINUE WHEN needed;
        EXECUTE format('DROP TABLE public.%I', part);
{forget}        RETURN part;
    END LOOP;
    RETURN NULL;
END $$
"""
_FORGET_DAY = """\
        DELETE FROM public.predictions_by_minute
        WHERE minute >= to_date(right(part, 8), 'YYYYMMDD') AND minute < to_date(right(part, 8), 'YYYYMMDD') + 1;
"""
_DROP_TRAFFIC = """
CREATE OR REPLACE FUNCTION public.drop_old_traffic(keep_days integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone bigint;
    more bigint;
BEGIN
    IF keep_days IS NULL OR keep_days < 1 THEN
        RAISE 'traffic is kept for a day at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM public.traffic WHERE at < now() - make_interval(days => keep_days);
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM public.spool_states WHERE at < now() - make_interval(days => keep_days);
    GET DIAGNOSTICS more = ROW_COUNT;
{forget}    RETURN gone + more;
END $$
"""
_FORGET_LATENCIES = """\
    DELETE FROM public.latencies_by_minute WHERE minute < now() - make_interval(days => keep_days);
"""


def upgrade() -> None:
    """Create the tables and triggers, count the existing rows, and index `predictions` by request."""
    op.create_table(
        "predictions_by_minute",
        sa.Column("minute", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("subscribes", sa.Boolean, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("probability_sum", sa.Double, nullable=False),
    )
    op.create_table(
        "latencies_by_minute",
        sa.Column("minute", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("upto", sa.Double, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )
    for table, counted in _COUNTED.items():
        op.execute(_COUNT.format(table=table, counted=counted.format(rows="added")))
        op.execute(f"REVOKE ALL ON FUNCTION public.count_{table}() FROM PUBLIC")
        # inserts wait from here on, until the existing rows are counted
        op.execute(_TRIGGER.format(table=table))
        op.execute(counted.format(rows=f"public.{table}"))
    op.execute(_DROP_DAY.format(forget=_FORGET_DAY))
    op.execute(_DROP_TRAFFIC.format(forget=_FORGET_LATENCIES))
    # a thousandth of the size of a B-tree and hardly any maintenance, since the rows of a request are stored together
    op.create_index(
        "predictions_by_request", "predictions", ["request_id"],
        postgresql_using="brin", postgresql_ops={"request_id": "text_bloom_ops"},
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    )  # fmt: skip


def downgrade() -> None:
    """Drop the tables, triggers, functions and the index."""
    op.drop_index("predictions_by_request", "predictions")
    op.execute(_DROP_DAY.format(forget=""))
    op.execute(_DROP_TRAFFIC.format(forget=""))
    for table in _COUNTED:
        op.execute(f"DROP TRIGGER {table}_counted ON public.{table}")
        op.execute(f"DROP FUNCTION public.count_{table}()")
    for table in ("latencies_by_minute", "predictions_by_minute"):
        op.drop_table(table)
