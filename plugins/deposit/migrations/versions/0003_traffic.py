"""Request counts of the services and states of the spool, for dashboards and alerts, which read only PostgreSQL.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_DROP_TRAFFIC = """
CREATE FUNCTION public.drop_old_traffic(keep_days integer) RETURNS bigint
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
    RETURN gone + more;
END $$
"""


def upgrade() -> None:
    """Create the tables `traffic` and `spool_states`."""
    op.create_table(
        "traffic",
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("status", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("latency_upto", sa.ARRAY(sa.Double), nullable=False),
        sa.Column("latency_count", sa.ARRAY(sa.BigInteger), nullable=False),
    )
    op.create_table(
        "spool_states",
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True, server_default=sa.func.now()),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("oldest_seconds", sa.Double, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("aside_rows", sa.BigInteger, nullable=False),
        sa.Column("shipped_rows", sa.BigInteger, nullable=False),
    )
    op.execute(_DROP_TRAFFIC)
    op.execute("REVOKE ALL ON FUNCTION public.drop_old_traffic(integer) FROM PUBLIC")


def downgrade() -> None:
    """Drop the tables and the function."""
    op.execute("DROP FUNCTION public.drop_old_traffic(integer)")
    for table in ("spool_states", "traffic"):
        op.drop_table(table)
