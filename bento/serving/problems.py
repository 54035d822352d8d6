"""Problems of a rejected request by row and field: the slow path that runs after the fast decoder has failed."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import msgspec

from deposit.data.columns import FEATURES, LEAKAGE_COLUMN
from deposit.data.tables.cells import near
from serving.request_schemas import MAX_ID, MAX_ID_LENGTH, MIN_ID

MAX_PROBLEMS = 20
_BY_NAME = {column.name: column for column in FEATURES}
_FIELDS = (*_BY_NAME, "id")
_BODY = ("customers", "model")
TWICE = object()
"""Placeholder for the value of a field that occurs more than once in its object."""
SENT_TWICE = "appears more than once; send it once"
_ID_ALLOWED = (
    f"must be an integer of 64 bits (7, not 7.0) or a string of at most {MAX_ID_LENGTH} characters without "
    "lone surrogates, or omitted"
)
_LEAK = f"`{LEAKAGE_COLUMN}` is rejected: it is known only after the call, so no prediction may use it; omit it"


class Problem(msgspec.Struct):
    """One problem; `row` is the position in the request's list, counted from 0, or null if no single row is meant."""

    row: Annotated[int | None, msgspec.Meta(description="position in `customers`, counted from 0")]
    field: str | None
    message: Annotated[str, msgspec.Meta(description="what is wrong and what is allowed")]


class Error(msgspec.Struct):
    """The body of every error response."""

    detail: list[Problem]


Headers = tuple[tuple[bytes, bytes], ...]


class RequestError(Exception):
    """An error response: HTTP status, all problems, and extra headers.

    `client` is the client's name, if it is known only where the error is raised.
    """

    def __init__(self, status: int, problems: list[Problem], headers: Headers = (), client: str = "") -> None:
        super().__init__(problems[0].message)
        self.status = status
        self.problems = problems
        self.headers = headers
        self.client = client


def http_error(
    status: int, message: str, field: str | None = None, *, headers: Headers = (), client: str = ""
) -> RequestError:
    """Return an error that concerns the whole request."""
    return RequestError(status, [Problem(None, field, message)], headers, client)


def problems_of(document: Any) -> list[Problem]:
    """Return the first 20 problems of a decoded body, at most one per field; empty if the body is valid."""
    return list(islice(_document_problems(document), MAX_PROBLEMS))


def _document_problems(document: Any) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(None, None, 'the body must be an object like {"customers": [{…}]}')
        return
    for name in [name for name in document if name not in _BODY]:
        yield Problem(None, name[:64], _unknown(name, _BODY, "the body has `customers` and, optionally, `model`"))
    model, customers = document.get("model"), document.get("customers")
    if not (model is None or (isinstance(model, str) and _encodable(model))):
        yield Problem(None, "model", _wrong(model, "must be a model id like deposit-v7, or omitted"))
    if not isinstance(customers, list):
        yield Problem(None, "customers", _wrong(customers, "is required: a list of customers"))
        return
    for row, customer in enumerate(customers):
        yield from _customer_problems(row, customer)


def _customer_problems(row: int, customer: Any) -> Iterator[Problem]:
    if not isinstance(customer, dict):
        yield Problem(row, None, "must be an object with the customer's fields")
        return
    for name in [name for name in customer if name not in _FIELDS]:
        unknown = _LEAK if name == LEAKAGE_COLUMN else _unknown(name, _FIELDS, "see /docs.json for the fields")
        yield Problem(row, name[:64], unknown)
    for name, column in _BY_NAME.items():
        if name not in customer:
            yield Problem(row, name, f"is required: must be {column.domain}")
        elif not column.contains(customer[name]):
            yield Problem(row, name, _wrong(customer[name], f"must be {column.domain}"))
    identity = customer.get("id")
    if not _identity_fits(identity):
        yield Problem(row, "id", _wrong(identity, _ID_ALLOWED))


def _unknown(name: str, names: Iterable[str], advice: str) -> str:
    nearest = near(name, names)
    return f"unknown field; did you mean `{nearest}`?" if nearest else f"unknown field; {advice}"


def _identity_fits(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ID_LENGTH and _encodable(value)
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and MIN_ID <= value <= MAX_ID)


def _encodable(text: str) -> bool:
    """Return whether the text can be encoded in UTF-8: a lone surrogate, which JSON can escape, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(value: Any, needed: str) -> str:
    return SENT_TWICE if value is TWICE else f"{needed}; got {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "…"
