"""Outcomes on their way to PostgreSQL: statements of the spool as rows of the table `outcomes`."""

from collections.abc import Sequence
from typing import Any

from psycopg import Cursor

from deposit import database
from deposit.monitoring.entries import StatedOutcomes
from deposit.monitoring.moments import moment
from deposit.monitoring.staging import Staging

_COLUMNS = ("prediction_id", "subscribed", "at", "received_at", "client", "request_id")
STAGING = Staging(database.outcomes, _COLUMNS, more=[("dated", "boolean"), ("place", "bigint")])
_INSERT = STAGING.sql("""
INSERT INTO public.outcomes (prediction_id, subscribed, at, received_at, client, request_id)
SELECT prediction_id, subscribed, at, received_at, client, request_id
FROM (
    SELECT *, lag(subscribed) OVER (
        PARTITION BY prediction_id ORDER BY public.outcome_moment(at, received_at), fresh, place
    ) AS before
    FROM (
        SELECT DISTINCT ON (prediction_id, at, subscribed) *
        FROM (
            SELECT prediction_id, subscribed, at, received_at, client, request_id, dated, place, true AS fresh
            FROM {staging}
            UNION ALL
            SELECT prediction_id, subscribed, at, received_at, NULL, NULL, NULL, id, false
            FROM public.outcomes
            WHERE prediction_id IN (SELECT prediction_id FROM {staging} WHERE NOT dated)
        ) AS every
        ORDER BY prediction_id, at, subscribed, fresh, place
    ) AS statements
) AS followed
WHERE fresh AND (dated OR before IS DISTINCT FROM subscribed)
ORDER BY place
ON CONFLICT DO NOTHING
""")
"""The same statement again adds nothing, and is no news for what comes after it. With a time of its own it is known by
that; without one it is dated by its receipt, and adds nothing if it says what was known already. What was known is what
the statement before said, in the order of `outcome_moment`."""

Row = tuple[Any, ...]


def outcome_rows(stated: StatedOutcomes) -> list[Row]:
    """A request's rows in the order of the staging table's columns but `place`."""
    received = moment(stated.received_at)
    return [
        (
            outcome.prediction_id,
            outcome.subscribed,
            received if outcome.at is None else moment(outcome.at),
            received,
            stated.client,
            stated.request_id,
            outcome.at is not None,
        )
        for outcome in stated.outcomes
    ]


def store(cursor: Cursor[Any], rows: Sequence[Row]) -> None:
    """Add what is new, in the order of `rows`. Raises psycopg.Error."""
    with cursor.copy(STAGING.sql("COPY {staging} ({columns}) FROM STDIN")) as copy:
        for place, row in enumerate(rows):
            copy.write_row((*row, place))
    cursor.execute(_INSERT)
