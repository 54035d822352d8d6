"""Predictions, partitioned by day, and outcomes; functions with which an unprivileged role manages the partitions.

Revision ID: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_FEATURES: dict[Any, tuple[str, ...]] = {
    sa.SmallInteger: ("age", "campaign", "pdays", "previous"),
    sa.Text: (
        "job", "marital", "education", "default", "housing", "loan", "contact", "month", "day_of_week", "poutcome",
    ),
    sa.Double: ("emp_var_rate", "cons_price_idx", "cons_conf_idx", "euribor3m", "nr_employed"),
}  # fmt: skip

# A partition is created as a table and then attached, which needs no lock that conflicts with readers.
_MAKE_DAYS = """
CREATE FUNCTION public.make_prediction_days(days date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO'
AS $$
DECLARE
    day date;
    part text;
BEGIN
    FOR day IN SELECT DISTINCT unnest(days) ORDER BY 1 LOOP
        IF day NOT BETWEEN '1970-01-01' AND current_date + 366 THEN
            RAISE 'no predictions are kept for the day %', day USING ERRCODE = 'datetime_field_overflow';
        END IF;
        part := 'predictions_' || to_char(day, 'YYYYMMDD');
        IF NOT public.is_prediction_day(part) THEN
            PERFORM pg_advisory_xact_lock(hashtext('deposit.predictions'));
            IF NOT public.is_prediction_day(part) THEN
                EXECUTE format(
                    'CREATE TABLE IF NOT EXISTS public.%I (LIKE public.predictions INCLUDING DEFAULTS)', part
                );
                EXECUTE format(
                    'ALTER TABLE public.predictions ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                    part, day::timestamptz, (day + 1)::timestamptz
                );
            END IF;
        END IF;
    END LOOP;
END $$
"""
_IS_DAY = """
CREATE FUNCTION public.is_prediction_day(part text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp
RETURN EXISTS (
    SELECT FROM pg_inherits
    WHERE inhparent = 'public.predictions'::regclass AND inhrelid = to_regclass('public.' || part)
)
"""
# One partition per call, so that a lock timeout undoes no other drop; the condition is checked again under the lock.
_DROP_DAY = """
CREATE FUNCTION public.drop_prediction_day(keep_days integer) RETURNS text
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
        RETURN part;
    END LOOP;
    RETURN NULL;
END $$
"""
_DROP_OUTCOMES = """
CREATE FUNCTION public.drop_old_outcomes(keep_days integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone bigint;
BEGIN
    IF keep_days IS NULL OR keep_days < 1 THEN
        RAISE 'outcomes are kept for a day at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM public.outcomes WHERE stored_at < now() - make_interval(days => keep_days);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$
"""
_FUNCTIONS = (
    "make_prediction_days(date[])",
    "is_prediction_day(text)",
    "drop_prediction_day(integer)",
    "drop_old_outcomes(integer)",
)
_CURRENT = """
CREATE VIEW public.current_outcomes AS
SELECT DISTINCT ON (prediction_id) prediction_id, subscribed, at, received_at, client, request_id
FROM public.outcomes ORDER BY prediction_id, at DESC, id DESC
"""


def upgrade() -> None:
    """Create the tables of the prediction log."""
    op.create_table(
        "predictions",
        sa.Column("prediction_id", sa.Uuid, primary_key=True),
        sa.Column("event_time", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Text),
        sa.Column("model_id", sa.Text, nullable=False),
        *(sa.Column(name, kind(), nullable=False) for kind, names in _FEATURES.items() for name in names),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("subscribes", sa.Boolean, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("latency_ms", sa.REAL, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        postgresql_partition_by="RANGE (event_time)",
    )
    op.create_index("predictions_by_model", "predictions", ["model_id", "event_time"])
    op.create_index(
        "predictions_by_customer", "predictions", ["customer_id"], postgresql_where=sa.text("customer_id IS NOT NULL")
    )
    op.create_table(
        "outcomes",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("prediction_id", sa.Uuid, nullable=False),
        sa.Column("subscribed", sa.Boolean, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("outcomes_statements", "outcomes", ["prediction_id", sa.text("at DESC"), "subscribed"], unique=True)
    op.create_index("outcomes_by_stored", "outcomes", ["stored_at"])
    for statement in (_CURRENT, _IS_DAY, _MAKE_DAYS, _DROP_DAY, _DROP_OUTCOMES):
        op.execute(statement)
    for function in _FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION public.{function} FROM PUBLIC")


def downgrade() -> None:
    """Drop the tables, the view and the functions."""
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION public.{function}")
    op.execute("DROP VIEW public.current_outcomes")
    for table in ("outcomes", "predictions"):
        op.drop_table(table)
