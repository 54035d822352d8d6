"""The dashboards' queries, timed on a month of predictions and traffic."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from statistics import median
from typing import Any

import psycopg
from grafana import DASHBOARDS, Value, annotation_queries, defaults, expand, panel_queries, variable_queries

from benchmarks import watchers
from benchmarks.report import Table, spread

QueryTimes = dict[str, float]
"""Seconds of each query in one round."""
_END = datetime(2010, 6, 1, tzinfo=UTC)
_RANGES = {timedelta(days=1): "1m", timedelta(days=7): "15m", timedelta(days=31): "1h"}
"""Dashboard time ranges, each with the interval of its charts."""
_FILTERS: Sequence[Mapping[str, Value]] = [
    {}, {"client": ["bench"]}, {"client": ["nobody"]}, {"customer": "nobody"}, {"request": "r-none"},
    {"prediction": "00000000-0000-0000-0000-000000000000"},
]  # fmt: skip
_FILL = f"""
INSERT INTO traffic
SELECT at, 'i', route, status, client, '{watchers.MODEL_ID}', 100, 3.0,
    ARRAY[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 'Infinity'], ARRAY[10, 20, 20, 20, 15, 9, 5, 1]
FROM generate_series('2010-05-01'::timestamptz, '2010-05-31 23:59:59', '10 seconds') AS at, (
    VALUES ('/predict', 200, 'bench'), ('/predict', 422, 'branch'), ('/rank', 200, 'bench')
) AS asked (route, status, client);
INSERT INTO spool_states
SELECT at, 1, 10, 2.5, 4096, 0, 100
FROM generate_series('2010-05-01'::timestamptz, '2010-05-31 23:59:59', '15 seconds') AS at;
"""  # noqa: S608 - a constant


def fill(connection: psycopg.Connection[Any]) -> None:
    """Insert a month of traffic, three kinds of requests every ten seconds, and of spool states every 15 seconds."""
    connection.execute(_FILL.encode())
    connection.execute("VACUUM ANALYZE")


def time_queries(connection: psycopg.Connection[Any]) -> QueryTimes:
    """Time the query of every panel, variable and annotation of every dashboard, by time range and filter."""
    return {name: _seconds(connection, sql) for name, sql in _queries()}


def table(measured: Mapping[int, Sequence[QueryTimes]]) -> Table:
    """Build the table of the slowest query by number of predictions; a query's time is the median of all rounds."""
    rows = []
    for size, rounds in measured.items():
        times = {name: median(each[name] for each in rounds) for name in rounds[0]}
        slowest = max(times, key=times.__getitem__)
        of_slowest = spread(each[slowest] for each in rounds)
        rows.append([f"{size:,}", f"{len(times)}", f"{median(times.values()):.3f}", of_slowest, slowest])
    return Table(
        "Dashboards over a month", ["predictions", "queries", "median query, s", "slowest, s", "slowest query"], rows
    )


def _queries() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        queries = [(f"{query.title} ({query.kind})", query.sql) for query in panel_queries(path)]
        queries += [*variable_queries(path).items(), *annotation_queries(path).items()]
        opened = defaults(path)
        possible = [chosen for chosen in _FILTERS if chosen.keys() <= opened.keys()]
        for (shown, interval), chosen, (title, sql) in product(_RANGES.items(), possible, queries):
            name = f"{path.stem}: {title}, {shown.days} d{_describe(chosen)}"
            yield name, expand(sql, _END - shown, _END, {**opened, **chosen}, interval)


def _describe(chosen: Mapping[str, Value]) -> str:
    return "".join(f", {name} {value if isinstance(value, str) else ' '.join(value)}" for name, value in chosen.items())


def _seconds(connection: psycopg.Connection[Any], sql: str) -> float:
    start = time.perf_counter()
    connection.execute(sql.encode()).fetchall()
    return time.perf_counter() - start
