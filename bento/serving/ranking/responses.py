"""Responses of /rank as JSON and CSV, with the reasons for and against calling a customer."""

import csv
import io
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import xgboost
from numpy.typing import NDArray
from pyarrow import compute

from deposit.data.blocks import Rejected, read_rows
from deposit.data.columns import FEATURES
from deposit.model.artifact import ModelArtifact
from deposit.model.encoder import Matrix
from deposit.model.mixture import Mixture, by_owner
from deposit.model.worth import best_choice
from serving.ranking.csv_columns import TEXT, decimals, identifiers, own_cells
from serving.ranking.rank_options import RankOptions
from serving.ranking.ranked import Ranked
from serving.recorder import texts
from serving.request_schemas import (
    CallPlan,
    ExtraColumn,
    ProfitCurve,
    RankedRow,
    RankOutlook,
    RankSummary,
    Reason,
    RejectedRow,
    encode,
)

TOP = 3
_MEANINGS = {column.name: column.meaning.partition(";")[0] for column in FEATURES}
_VALUES = {
    ("pdays", 999): "never called in an earlier campaign",
    ("previous", 0): "not called before this campaign",
    ("poutcome", "nonexistent"): "no earlier campaign",
    ("poutcome", "success"): "subscribed in an earlier campaign",
    ("poutcome", "failure"): "did not subscribe in an earlier campaign",
}
"""Values that need a wording of their own in the reasons."""


def explanations(artifact: ModelArtifact, matrix: Matrix, columns: dict[str, Any]) -> list[list[Reason]]:
    """Return each row's largest contributions: coefficients, or SHAP (Lundberg, Lee 2017) for trees and rates."""
    used = artifact.encoder.columns
    contributions = contributions_by_column(artifact, matrix)
    best = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :TOP]
    return [
        [_reason(used[place], columns[used[place]][row], float(contributions[row, place])) for place in places]
        for row, places in enumerate(best.tolist())
    ]


def contributions_by_column(artifact: ModelArtifact, matrix: Matrix) -> NDArray[np.float64]:
    """Return contributions in log-odds, shape (rows, encoder columns); with the base value they sum to the score."""
    columns = {name: place for place, name in enumerate(artifact.encoder.columns)}
    owners = np.array([columns[name.partition("=")[0]] for name in artifact.encoder.names()])
    if isinstance(artifact.scorer, Mixture):
        return artifact.scorer.contributions(matrix, owners, columns)
    if isinstance(artifact.scorer, xgboost.Booster):
        # the last column is the base value
        contributions = artifact.scorer.predict(xgboost.DMatrix(matrix, nthread=1), pred_contribs=True)[:, :-1]
    else:
        contributions = matrix * artifact.scorer[:-1]
    return by_owner(contributions, owners, len(columns))


def _reason(column: str, value: Any, contribution: float) -> Reason:
    plain = value if isinstance(value, str) else int(value) if value == int(value) else float(value)
    words = _VALUES.get((column, plain)) or f"{_MEANINGS[column]}: {plain}"
    return Reason(column, contribution, f"{words} ({contribution:+.2f})")


ADDED = ("rank", "prediction_id", "probability", "expected_value", "call", "reasons", "problem")
MAX_REASONED = 10_000
"""Maximum number of customers with reasons, the best ones: their reasons cost 50 times as much as their scores."""
_PART = 10_000
_CSV_PART, _MOST_PASSES = 40_000, 25
"""Minimum number of CSV rows built at a time, and maximum number of passes: each batch of rows reads the whole list."""
_PIECE = 2**20
"""Maximum number of bytes sent at a time."""


def as_json(ranked: Ranked) -> Iterator[bytes]:
    """Yield the JSON response in parts."""
    head = encode(summary(ranked))
    yield head[:-1] + b',"ranked":['
    for start in range(0, len(ranked.numbers), _PART):
        yield (b"," if start else b"") + encode(_rows(ranked, start))[1:-1]
    yield b'],"rejected_rows":'
    lines = ranked.records.lines
    yield encode([RejectedRow(int(lines[row.record]), row.reason) for row in ranked.rejected])
    yield b"}"


def as_csv(ranked: Ranked) -> Iterator[bytes]:
    """Yield the CSV response in parts: the file's own cells unchanged, best first, rejected rows last; UTF-8."""
    separator = ranked.header.separator
    yield (_line([*ranked.header.names, *ADDED], separator) + "\n").encode()
    rows = len(ranked.numbers)
    step = max(_CSV_PART, rows // _MOST_PASSES)
    for start in range(0, rows, step):
        lines = memoryview(_lines(ranked, start, min(start + step, rows)))
        for place in range(0, len(lines), _PIECE):
            yield bytes(lines[place : place + _PIECE])
        del lines  # before the next batch is built
    for bad in ranked.rejected:
        yield (_rejected_line(ranked, bad) + "\n").encode()


def summary(ranked: Ranked) -> RankSummary:
    """Return the summary of the whole list."""
    called = slice(0, ranked.called)
    return RankSummary(
        model=ranked.loaded.model_id,
        stale=ranked.stale,
        rows=len(ranked.numbers),
        rejected=len(ranked.rejected),
        extra_columns=[ExtraColumn(name, reason) for name, reason in ranked.extra.items()],
        charset=ranked.dialect.charset,
        separator=ranked.dialect.separator,
        header_line=ranked.dialect.header_line,
        readings=list(ranked.readings),
        deposit_value=ranked.options.deposit_value,
        call_cost=ranked.options.call_cost,
        capacity=ranked.options.capacity,
        break_even=ranked.options.break_even,
        called=ranked.called,
        expected_subscriptions=float(ranked.probabilities[called].sum()),
        expected_profit=float(ranked.expected_values(called).sum()),
        outlook=outlook(ranked.probabilities, ranked.called, ranked.options),
    )


def _rows(ranked: Ranked, start: int) -> list[RankedRow]:
    part = slice(start, start + _PART)
    reasons_of_rows = _reasons(ranked, start, start + _PART)
    values = zip(
        count(start + 1),
        ranked.records.lines[ranked.numbers[part]].tolist(),
        ranked.ids[part].to_pylist(),
        texts(ranked.prediction_ids[part].tobytes()),
        ranked.probabilities[part].tolist(),
        ranked.expected_values(part).tolist(),
        strict=False,
    )
    called = ranked.called
    rows = [
        RankedRow(place, line, id_, key, chance, value, place <= called)
        for place, line, id_, key, chance, value in values
    ]
    for row, row_reasons in zip(rows, reasons_of_rows, strict=False):
        row.reasons = row_reasons
    return rows


def _reasons(ranked: Ranked, start: int, end: int) -> list[list[Reason]]:
    end = min(ranked.called, MAX_REASONED, end)
    if not ranked.options.reasons or start >= end:
        return []
    block = read_rows(ranked.file, ranked.records, ranked.header, ranked.numbers[start:end])
    artifact = ranked.loaded.artifact
    return explanations(artifact, artifact.encoder.encode_columns(block.columns), block.columns)


def _lines(ranked: Ranked, start: int, end: int) -> pa.Buffer:
    """Return CSV rows with line ends, built column by column without a Python object per cell."""
    part, places = slice(start, end), np.arange(start, end)
    reasons = [_format_reasons(each) for each in _reasons(ranked, start, end)]
    joined = compute.binary_join_element_wise(
        own_cells(ranked.file, ranked.records, ranked.numbers[part]),
        pa.array(places + 1).cast(TEXT),
        identifiers(ranked.prediction_ids[part]),
        decimals(ranked.probabilities[part]),
        decimals(ranked.expected_values(part)),
        compute.if_else(places < ranked.called, pa.scalar("yes", TEXT), pa.scalar("no", TEXT)),
        pa.array(reasons + [""] * (end - start - len(reasons)), TEXT),
        pa.scalar("\n", TEXT),
        pa.scalar(ranked.header.separator, TEXT),
    )
    return joined.buffers()[2]


def _rejected_line(ranked: Ranked, bad: Rejected) -> str:
    separator = ranked.header.separator
    if bad.in_shape:
        own = ranked.records.contents(ranked.file, np.array([bad.record]))[0].decode()
    else:  # its cells would be in the wrong columns
        own = separator * (len(ranked.header.names) - 1)
    problem = f"line {ranked.records.lines[bad.record]}: {bad.reason}"
    return own + separator * len(ADDED) + _line([problem], separator)


def _format_reasons(reasons: list[Reason]) -> str:
    return '"' + "; ".join(reason.text for reason in reasons).replace('"', '""') + '"' if reasons else ""


def _line(cells: list[str], separator: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="").writerow(cells)
    return written.getvalue()


POINTS = 200
"""Number of points of the profit curve, in addition to the planned and the most profitable number of calls."""


def outlook(probabilities: NDArray[np.float64], called: int, options: RankOptions) -> RankOutlook:
    """Compute the outlook of a list from its sorted probabilities, best first, shape (n,)."""
    rows = len(probabilities)
    subscriptions = np.append(0.0, np.cumsum(probabilities))
    profits = subscriptions * options.deposit_value - np.arange(rows + 1) * options.call_cost
    pay = int((probabilities > options.break_even).sum())  # the best come first
    places = np.unique(np.append(np.linspace(0, rows, min(rows, POINTS) + 1).round().astype(int), [pay, called]))
    at_random = float(subscriptions[-1]) * called / rows
    plan, best, everyone = (
        CallPlan(calls, float(subscriptions[calls]), float(profits[calls])) for calls in (called, pay, rows)
    )
    return RankOutlook(
        best=best,
        everyone=everyone,
        random=CallPlan(called, at_random, at_random * options.deposit_value - called * options.call_cost),
        best_choice=best_choice(plan.expected_profit, everyone.expected_profit).value,
        curve=ProfitCurve(places.tolist(), subscriptions[places].tolist(), profits[places].tolist()),
    )
