"""A ranked list as an answer, in parts: JSON, or the CSV that came with columns added."""

import csv
import io
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import numpy as np

from serving.customers import encode
from serving.identifiers import texts
from serving.ranking.blocks import Rejected, read_rows
from serving.ranking.ranked import Ranked
from serving.ranking.reasons import Reason, reasons

ADDED = ("rank", "prediction_id", "probability", "expected_value", "call", "reasons", "problem")
MAX_REASONED = 10_000
"""Reasons cost 50 times what a score does; so many of the best are told."""
_PART = 10_000


class _Row(msgspec.Struct, omit_defaults=True):
    rank: int
    line: int
    id: str | None
    prediction_id: str
    probability: float
    expected_value: float
    call: bool
    reasons: list[Reason] | msgspec.UnsetType = msgspec.UNSET


def as_json(ranked: Ranked) -> Iterator[bytes]:
    """The JSON answer."""
    head = encode(summary(ranked))
    yield head[:-1] + b',"ranked":['
    for start in range(0, len(ranked.numbers), _PART):
        yield (b"," if start else b"") + encode(_rows(ranked, start))[1:-1]
    yield b'],"rejected_rows":'
    lines = ranked.records.lines
    yield encode([{"line": int(lines[row.record]), "reason": row.reason} for row in ranked.rejected])
    yield b"}"


def as_csv(ranked: Ranked) -> Iterator[bytes]:
    """The CSV answer: the file's own cells as they were, best first, the rejected rows at the end; UTF-8."""
    separator = ranked.header.separator
    yield (_line([*ranked.header.names, *ADDED], separator) + "\n").encode()
    for start in range(0, len(ranked.numbers), _PART):
        own = _own_cells(ranked, ranked.numbers[start : start + _PART])
        yield "".join(
            f"{cells}{separator}{row.rank}{separator}{row.prediction_id}{separator}{row.probability!r}{separator}"
            f"{row.expected_value!r}{separator}{'yes' if row.call else 'no'}{separator}{_told(row)}{separator}\n"
            for cells, row in zip(own, _rows(ranked, start), strict=True)
        ).encode()
    for bad in ranked.rejected:
        yield (_rejected_line(ranked, bad) + "\n").encode()


def summary(ranked: Ranked) -> dict[str, Any]:
    """What is to be said of the whole list."""
    called = slice(0, ranked.called)
    return {
        "model": ranked.loaded.model_id,
        "rows": len(ranked.numbers),
        "rejected": len(ranked.rejected),
        "extra_columns": [{"column": name, "reason": reason} for name, reason in ranked.extra.items()],
        "deposit_value": ranked.wishes.deposit_value,
        "call_cost": ranked.wishes.call_cost,
        "capacity": ranked.wishes.capacity,
        "break_even": ranked.wishes.break_even,
        "called": ranked.called,
        "expected_subscriptions": float(ranked.probabilities[called].sum()),
        "expected_profit": float(ranked.expected_values(called).sum()),
    }


def _rows(ranked: Ranked, start: int) -> list[_Row]:
    part = slice(start, start + _PART)
    why = _reasons(ranked, start)
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
    found = [
        _Row(place, line, id_, key, chance, value, place <= called) for place, line, id_, key, chance, value in values
    ]
    for row, told in zip(found, why, strict=False):
        row.reasons = told
    return found


def _reasons(ranked: Ranked, start: int) -> list[list[Reason]]:
    end = min(ranked.called, MAX_REASONED, start + _PART)
    if not ranked.wishes.reasons or start >= end:
        return []
    block = read_rows(ranked.file, ranked.records, ranked.header, ranked.numbers[start:end])
    artifact = ranked.loaded.artifact
    return reasons(artifact, artifact.encoder.encode_columns(block.columns), block.columns)


def _own_cells(ranked: Ranked, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    """The rows as they stand in the file, in the order given."""
    return [content.decode() for content in ranked.records.contents(ranked.file, numbers)]


def _rejected_line(ranked: Ranked, bad: Rejected) -> str:
    separator = ranked.header.separator
    if bad.in_shape:
        (own,) = _own_cells(ranked, np.array([bad.record]))
    else:  # its cells would stand under wrong columns
        own = separator * (len(ranked.header.names) - 1)
    problem = f"line {ranked.records.lines[bad.record]}: {bad.reason}"
    return own + separator * len(ADDED) + _line([problem], separator)


def _told(row: _Row) -> str:
    if row.reasons is msgspec.UNSET:
        return ""
    return '"' + "; ".join(reason.text for reason in row.reasons).replace('"', '""') + '"'


def _line(cells: list[str], separator: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="").writerow(cells)
    return written.getvalue()
