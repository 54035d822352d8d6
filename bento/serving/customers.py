"""What a request may hold: one strict structure made from the column descriptions."""

from typing import Annotated, Any, Literal

import msgspec

from deposit.data.columns import FEATURES, NAMES, Category

MAX_ID_LENGTH = 128
_INT64 = 2**63


def _field_type(column: Any) -> Any:
    if isinstance(column, Category):
        return Literal[column.allowed]
    limits = msgspec.Meta(ge=int(column.low), le=int(column.high)) if column.integer else None
    if limits is not None:
        return Annotated[int, limits]
    return Annotated[float, msgspec.Meta(ge=float(column.low), le=float(column.high))]


_Identity = (
    Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)] | Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)]
)
_ATTRIBUTES = {name.replace(".", "_"): name for name in NAMES}

Customer = msgspec.defstruct(
    "Customer",
    [
        *((attribute, _field_type(column)) for attribute, column in zip(_ATTRIBUTES, FEATURES, strict=True)),
        ("id", _Identity | None, None),
    ],
    rename=lambda attribute: _ATTRIBUTES.get(attribute, attribute),
    forbid_unknown_fields=True,
    gc=False,
)


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A list of customers and, if the caller pins one, the model's id."""

    customers: list[Customer]  # type: ignore[valid-type]
    model: str | None = None


class Prediction(msgspec.Struct):
    """The answer for one customer."""

    id: int | str | None
    prediction_id: str
    probability: float
    subscribes: bool


class PredictResponse(msgspec.Struct):
    """Predictions in the order of the customers."""

    model: str
    predictions: list[Prediction]


decode_request = msgspec.json.Decoder(PredictRequest).decode
encode = msgspec.json.Encoder().encode


def rows(customers: list[Any]) -> list[tuple[Any, ...]]:
    """The customers' values in the encoder's column order."""
    width = len(NAMES)
    return [msgspec.structs.astuple(customer)[:width] for customer in customers]
