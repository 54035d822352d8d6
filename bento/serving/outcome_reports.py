"""`POST /outcomes`: the outcomes of predictions, as JSON or CSV, durable before the response is sent."""

import asyncio
import csv
import io
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from deposit.data.tables.cells import bare, plain, yes_or_no
from deposit.data.tables.header import Header, read_header
from deposit.data.tables.plaintext import plain_csv
from deposit.data.tables.records import find_records
from deposit.log.entries import ReportedOutcome, ReportedOutcomes, encode_entry, microseconds
from deposit.sections import ServeSettings
from serving.bodies import as_utf8, declared_codec, read_leniently, refusals
from serving.http import JSON, XLSX, Answer, Request, charset_of, content_type
from serving.problems import MAX_PROBLEMS, SENT_TWICE, TWICE, Problem, RequestError, http_error
from serving.recorder import Recorder
from serving.request_schemas import encode

_CSV = b"text/csv"
_LARGE_BODY = 64 * 2**10
"""Larger bodies, in bytes, are parsed in a thread, so that they do not block predictions in the event loop."""


class Outcomes:
    """Accepts all outcomes of a request or none; does not check whether their predictions exist."""

    def __init__(self, recorder: Recorder, limits: ServeSettings) -> None:
        self._recorder = recorder
        self._limits = limits
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outcomes")

    async def __call__(self, request: Request) -> Answer:
        """Return the JSON response `{"accepted": n}`. Raises RequestError with all problems found."""
        kind = content_type(request)
        if kind not in {JSON, _CSV, XLSX}:
            raise http_error(415, f"send the outcomes as Content-Type: application/json, text/csv or {XLSX.decode()}")
        received = time.time_ns() // 1000
        body = await request.body(self._limits.max_body_bytes)
        content = kind, body, charset_of(request), received
        if kind == JSON and len(body) <= _LARGE_BODY:  # a table may be a workbook, which is read by a child process
            outcomes = self._read(*content)
        else:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._pool, self._read, *content)
        report = ReportedOutcomes(request.id.decode(), request.client.name, received, outcomes)
        await self._recorder.record(encode_entry(report, len(outcomes)))
        return Answer(encode({"accepted": len(outcomes)}))

    def _read(self, kind: bytes, body: bytes, charset: str | None, received: int) -> list[ReportedOutcome]:
        if kind != JSON:
            rows = parse_csv(body, self._limits.max_body_bytes, declared_codec(charset))
        else:
            rows = parse_json(body, charset)
        return validate(rows, self._limits.max_customers, received)


_FIELDS = ("prediction_id", "subscribed", "at")
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ALIASES = {"y": "subscribed", "deposit": "subscribed"}
_AHEAD = 24 * 3600 * 1_000_000
"""Maximum time in the future, in µs: clocks differ, and a date without a time may be sent as the end of its day."""


def parse_json(body: bytes, charset: str | None) -> list[Any]:
    """Return the rows of `{"outcomes": [...]}`; `charset` is the declared one. Raises RequestError 400, 415 or 422."""
    # parsed leniently, so that `validate` can report NaN, repeated fields and the like by row and field
    document = read_leniently(as_utf8(body, charset))
    if not isinstance(document, dict) or not isinstance(document.get("outcomes"), list):
        raise http_error(422, 'is required: a list, in an object like {"outcomes": [{…}]}', "outcomes")
    for name in document.keys() - {"outcomes"}:
        raise http_error(422, "unknown field; the only field of the body is `outcomes`", name[:64])
    rows: list[Any] = document["outcomes"]
    return rows


def parse_csv(body: bytes, limit: int, codec: str | None) -> list[Any]:
    """Return the rows of a CSV file with a header, compressed or not, of at most `limit` bytes.

    Raises RequestError 400, 413 or 422.
    """
    if not body.strip():
        raise RequestError(422, [Problem(None, name, "is required as a column") for name in _FIELDS[:2]])
    with refusals(400, None):
        file = plain_csv(io.BytesIO(body), io.BytesIO, limit, codec).file
        header = read_header(file, _FIELDS, _ALIASES)
        _check_header(header)
        records = find_records(file, header)
        texts = records.texts(file, 0, len(records))
    try:
        return [_csv_row(header, values) for values in csv.reader(texts, delimiter=header.separator)]
    except csv.Error as error:
        raise http_error(400, "a cell is longer than 128 KiB: this is not a CSV file of outcomes") from error


def validate(rows: Sequence[Any], limit: int, received: int) -> list[ReportedOutcome]:
    """Validate the rows and return their outcomes; `received` in µs since the epoch. Raises RequestError 422."""
    if not 1 <= len(rows) <= limit:
        raise http_error(422, f"must hold from 1 to {limit} outcomes; got {len(rows) or 'none'}", "outcomes")
    outcomes: list[ReportedOutcome] = []
    problems: list[Problem] = []
    first_reports: dict[tuple[str, int | None], tuple[int, bool]] = {}
    for number, row in enumerate(rows):
        row_problems = _repeated(number, row) or list(_problems(number, row, received))
        if not row_problems:
            outcome = ReportedOutcome(row["prediction_id"].lower(), row["subscribed"], _time(row))
            first, subscribed = first_reports.setdefault(
                (outcome.prediction_id, outcome.at), (number, outcome.subscribed)
            )
            if subscribed != outcome.subscribed:
                row_problems = [
                    Problem(number, "subscribed", f"contradicts row {first}; give both an `at`, or send one")
                ]
            outcomes.append(outcome)
        problems += row_problems
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise RequestError(422, problems[:MAX_PROBLEMS])
    return outcomes


def _check_header(header: Header) -> None:
    problems = [
        Problem(None, name[:64], "unknown column; the columns are prediction_id, subscribed and, optionally, at")
        for name in header.unknown
        if plain(name)
    ]
    problems += [Problem(None, name, "is required as a column") for name in _FIELDS[:2] if name not in header.places]
    problems += [Problem(None, name, "appears twice in the header") for name in header.repeated]
    if problems:
        raise RequestError(422, problems[:MAX_PROBLEMS])


def _csv_row(header: Header, values: list[str]) -> Any:
    """Convert a row to its JSON form: words for yes or no become a bool, an empty time is omitted."""
    if len(values) != len(header.names):
        return None
    row: dict[str, Any] = {name: bare(values[place]) for name, place in header.places.items()}
    answer = yes_or_no(row["subscribed"])
    row["subscribed"] = row["subscribed"] if answer is None else answer
    row["at"] = row.get("at") or None
    return row


def _repeated(number: int, row: Any) -> list[Problem]:
    """Return a problem for each field that occurs more than once in a row."""
    fields = row.items() if isinstance(row, dict) else ()
    return [Problem(number, name[:64], SENT_TWICE) for name, value in fields if value is TWICE]


def _problems(number: int, row: Any, received: int) -> Iterator[Problem]:
    if not isinstance(row, dict):
        yield Problem(number, None, "must have prediction_id, subscribed and, optionally, at, and as many values")
        return
    for name in row.keys() - set(_FIELDS):
        yield Problem(number, name[:64], "unknown field; the fields are prediction_id, subscribed and, optionally, at")
    identity = row.get("prediction_id")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        yield Problem(
            number, "prediction_id", "is required: the prediction's id (a UUID), as /predict or /rank returned it"
        )
    if not isinstance(row.get("subscribed"), bool):
        yield Problem(number, "subscribed", "is required: true or false (in a CSV also yes, no, 1, 0)")
    try:
        at = _time(row)
    except ValueError:
        yield Problem(number, "at", "must be a time with its UTC offset, like 2010-05-03T09:30:00Z, or omitted")
    else:
        if at is not None and not 0 <= at <= received + _AHEAD:
            yield Problem(number, "at", "must be a time between 1970 and now")


def _time(row: dict[str, Any]) -> int | None:
    """Return the time of the outcome in microseconds since the epoch, None if there is none. Raises ValueError."""
    text = row.get("at")
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("not a text")
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("no offset")
    return microseconds(when)
