"""What a request may hold: one strict structure made from the column descriptions."""

from typing import Annotated, Any, Literal

import msgspec

from deposit.data.columns import FEATURES, NAMES, Category

MAX_ID_LENGTH = 128
MIN_ID, MAX_ID = -(2**63), 2**63 - 1


def _field_type(column: Any) -> Any:
    if isinstance(column, Category):
        return Literal[column.allowed]
    low, high = float(column.low), float(column.high)
    if not column.integer:
        return Annotated[float, msgspec.Meta(ge=low, le=high)]
    # 41.0 and 4.1e1 are whole numbers too; as a union they cost those who write 41 nothing
    plain = Annotated[int, msgspec.Meta(ge=int(low), le=int(high))]
    return plain | Annotated[float, msgspec.Meta(ge=low, le=high, multiple_of=1)]


_Identity = Annotated[int, msgspec.Meta(ge=MIN_ID, le=MAX_ID)] | Annotated[str, msgspec.Meta(max_length=MAX_ID_LENGTH)]
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
