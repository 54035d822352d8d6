"""Counts made in a real PostgreSQL are those that are made of the same rows in memory."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import psycopg
import pytest
from monitored import Trained, observe
from sqlalchemy import Engine, text

from deposit.data.columns import NAMES
from deposit.data.period import parse_period
from deposit.database import connect
from deposit.monitoring import metric_rows, profile
from deposit.monitoring.metric_rows import MetricRow
from deposit.sections import DatabaseSettings

pytestmark = pytest.mark.servers

MODEL, OTHER = "deposit-v7", "deposit-v8"
SPAN = parse_period("2010-05")
COLUMNS = (
    "prediction_id", "event_time", "request_id", "model_id", *(name.replace(".", "_") for name in NAMES),
    "probability", "subscribes", "threshold", "latency_ms", "client",
)  # fmt: skip
QUOTED = ", ".join(f'"{column}"' for column in COLUMNS)


@pytest.fixture(scope="module")
def month(history: pd.DataFrame, trained: Trained) -> tuple[pd.DataFrame, Any, Any]:
    """Real rows of later months with their scores; outcomes are known of the first two thirds."""
    frame = history[history["period"] >= "2010"].reset_index(drop=True)
    frame = frame.assign(job=frame["job"].where(frame.index % 50 != 0, "astronaut"))
    known = len(frame) * 2 // 3
    return frame, trained.score(frame.assign(job=frame["job"].replace("astronaut", "unknown"))), known


@pytest.fixture(scope="module")
def engine(
    make_database: Callable[[], str],
    make_log_database: Callable[[str, str], Any],
    month: tuple[pd.DataFrame, Any, Any],
    trained: Trained,
) -> Iterator[Engine]:
    """A database with this month, with outcomes of which some were corrected, and with what must not be counted."""
    addresses = make_log_database(make_database(), "counting")
    frame, probabilities, known = month
    with psycopg.connect(addresses.owner) as connection:
        days = [SPAN.start.date() + timedelta(days=day) for day in range(-1, 32)]
        connection.execute("SELECT public.make_prediction_days(%s)", [days])
        for model, start, first in ((MODEL, SPAN.start, 0), (OTHER, SPAN.start, 10**6), (MODEL, SPAN.end, 2 * 10**6)):
            _insert(connection, frame, probabilities, trained.threshold, model, start, first)
        labels = frame["y"].to_numpy(bool)
        with connection.cursor().copy(
            "COPY outcomes (prediction_id, subscribed, at, received_at, client, request_id) FROM STDIN"
        ) as copy:
            for row in range(known):
                if row % 7 == 0:
                    copy.write_row((UUID(int=row), not labels[row], SPAN.start, SPAN.start, "crm", "r"))
                later = SPAN.start + timedelta(days=40)
                if row % 7 == 1:
                    # of a clock that ran ahead; what was received after it counts
                    ahead = later + timedelta(hours=9)
                    copy.write_row((UUID(int=row), not labels[row], ahead, later - timedelta(hours=1), "crm", "r"))
                copy.write_row((UUID(int=row), bool(labels[row]), later, later, "crm", "r"))
    made = connect(DatabaseSettings(url=addresses.owner))
    yield made
    made.dispose()


def _insert(
    connection: Any, frame: pd.DataFrame, probabilities: Any, threshold: float, model: str, start: datetime, first: int
) -> None:
    with connection.cursor().copy(f"COPY predictions ({QUOTED}) FROM STDIN") as copy:
        for row, values in enumerate(frame[list(NAMES)].itertuples(index=False)):
            probability = float(probabilities[row])
            at = start + timedelta(seconds=row)
            copy.write_row(
                (UUID(int=first + row), at, "r", model, *values, probability, probability >= threshold, threshold,
                 1.0 + row % 100, "crm")
            )  # fmt: skip


def groups(scored: Any) -> dict[tuple[int, float], float]:
    """Rows by label and score."""
    by_score: dict[tuple[int, float], float] = {}
    for label, probability, rows in zip(scored.labels, scored.probabilities, scored.rows, strict=True):
        pair = int(label), round(float(probability), 12)
        by_score[pair] = by_score.get(pair, 0) + float(rows)
    return by_score


def test_counts_are_those_of_the_rows(engine: Engine, month: tuple[pd.DataFrame, Any, Any], trained: Trained) -> None:
    frame, probabilities, known = month
    expected = observe(frame, probabilities, trained)
    labelled = observe(frame[:known], probabilities[:known], trained, frame["y"].to_numpy(np.int8)[:known])
    with engine.connect() as connection:
        assert profile.models_of(connection, SPAN, "deposit") == [MODEL, OTHER]
        counted = profile.profile_period(connection, SPAN, MODEL, trained.reference)
    assert (counted.rows, counted.called) == (expected.rows, expected.called)
    assert counted.mean_probability == pytest.approx(expected.mean_probability)
    assert counted.columns == expected.columns
    assert counted.columns["job"].outside == -(-len(frame) // 50)
    for name in ("labels", "probabilities", "rows"):
        assert getattr(counted.scored, name) == pytest.approx(getattr(labelled.scored, name)), name
    assert groups(counted.scored_by_rates) == pytest.approx(groups(labelled.scored_by_rates))
    assert len(groups(counted.scored_by_rates)) > 20
    assert counted.latencies["p50"] == pytest.approx(50, rel=0.06)
    assert counted.latencies["p99"] == pytest.approx(99, rel=0.06)


def test_a_day_is_counted_alone(engine: Engine, month: tuple[pd.DataFrame, Any, Any], trained: Trained) -> None:
    with engine.connect() as connection:
        first = profile.profile_period(connection, parse_period("2010-05-01"), MODEL, trained.reference)
        assert profile.models_of(connection, parse_period("2010-05-02"), "deposit") == []
    assert first.rows == len(month[0])


def test_figures_of_a_period_are_replaced_whole(engine: Engine) -> None:
    def stored() -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            rows = connection.execute(
                text('SELECT period, scope, name, "column", value, note FROM metrics ORDER BY 1, 3')
            )
            return [tuple(row) for row in rows]

    def keep(period: str, *rows: MetricRow) -> None:
        with engine.begin() as connection:
            metric_rows.replace(connection, period, "deposit", list(rows))

    keep("2010-05", MetricRow(MODEL, "psi", 0.5, "age"), MetricRow(MODEL, "rate", float("nan")))
    keep("2010-06", MetricRow(MODEL, "rows", 9.0))
    keep("2010-05", MetricRow(MODEL, "verdict", 1.0, note="The population has shifted"))
    assert stored() == [
        ("2010-05", MODEL, "verdict", "", 1.0, "The population has shifted"),
        ("2010-06", MODEL, "rows", "", 9.0, ""),
    ]
    keep("2010-05")
    assert [row[0] for row in stored()] == ["2010-06"]


def test_what_was_refused_and_failed_is_counted_for_all_models(engine: Engine) -> None:
    at = datetime(2010, 5, 3, tzinfo=UTC)
    statement = text(
        "INSERT INTO traffic (at, instance, route, status, client, model_id, requests, seconds, latency_upto, "
        "latency_count) VALUES (:at, 'one', :route, :status, 'crm', '', :requests, 1, '{}', '{}')"
    )
    with engine.begin() as connection:
        assert profile.service_of(connection, SPAN) == {"ingest_rejected": 0}
        rejected = text(
            "INSERT INTO rejects (source_sha256, line, source, reason, uri, created_at) "
            "VALUES ('a', :line, 's', 'r', 'u', :at)"
        )
        for line in (1, 2):
            connection.execute(rejected, {"line": line, "at": at})
        for route, status, requests in (
            ("/predict", 200, 70),
            ("/predict", 422, 20),
            ("/rank", 503, 10),
            ("/", 404, 9),
        ):
            connection.execute(statement, {"at": at, "route": route, "status": status, "requests": requests})
        service = profile.service_of(connection, SPAN)
    assert service == {"ingest_rejected": 2, "requests": 100, "refused_share": 0.2, "failed_share": 0.1}
