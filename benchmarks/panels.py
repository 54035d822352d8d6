"""What the dashboards ask, timed over a month of predictions and traffic."""

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

Look = dict[str, float]
"""Seconds of each query in one round."""
_END = datetime(2010, 6, 1, tzinfo=UTC)
_SHOWN = {timedelta(days=1): "1m", timedelta(days=7): "15m", timedelta(days=31): "1h"}
"""Times to show, and how far apart a chart's points then are."""
_CHOSEN: Sequence[Mapping[str, Value]] = [
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
    """A month in which every ten seconds something was asked on each of three ways."""
    connection.execute(_FILL.encode())
    connection.execute("VACUUM ANALYZE")


def look(connection: psycopg.Connection[Any]) -> Look:
    """Seconds of every panel, variable and mark of every dashboard, for each time and choice."""
    return {name: _seconds(connection, sql) for name, sql in _queries()}


def table(looks: Mapping[int, Sequence[Look]]) -> Table:
    """The slowest query by number of predictions; a query's time is the median of the rounds."""
    rows = []
    for size, rounds in looks.items():
        times = {name: median(look[name] for look in rounds) for name in rounds[0]}
        slowest = max(times, key=times.__getitem__)
        of_slowest = spread(look[slowest] for look in rounds)
        rows.append([f"{size:,}", f"{len(times)}", f"{median(times.values()):.3f}", of_slowest, slowest])
    return Table(
        "Dashboards over a month", ["predictions", "queries", "half of them within, s", "slowest, s", "which"], rows
    )


def _queries() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        asked = [(f"{query.title} ({query.kind})", query.sql) for query in panel_queries(path)]
        asked += [*variable_queries(path).items(), *annotation_queries(path).items()]
        opened = defaults(path)
        possible = [chosen for chosen in _CHOSEN if chosen.keys() <= opened.keys()]
        for (shown, interval), chosen, (title, sql) in product(_SHOWN.items(), possible, asked):
            name = f"{path.stem}: {title}, {shown.days} d{_described(chosen)}"
            yield name, expand(sql, _END - shown, _END, {**opened, **chosen}, interval)


def _described(chosen: Mapping[str, Value]) -> str:
    return "".join(f", {name} {value if isinstance(value, str) else ' '.join(value)}" for name, value in chosen.items())


def _seconds(connection: psycopg.Connection[Any], sql: str) -> float:
    start = time.perf_counter()
    connection.execute(sql.encode()).fetchall()
    return time.perf_counter() - start
