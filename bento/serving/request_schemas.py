"""What requests and answers hold; the strict structure of a customer is made from the column descriptions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from deposit.data.columns import NAMES, Category, Number, customer_struct
from deposit.data.readings import Reading

MAX_ID_LENGTH = 128
MIN_ID, MAX_ID = -(2**63), 2**63 - 1

_Identity = Annotated[int, Meta(ge=MIN_ID, le=MAX_ID)] | Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
_SAME_ID = "comes back as it was sent; an integer is written without a decimal point: 7, not 7.0"
_ID = Annotated[_Identity | None, Meta(description=_SAME_ID)]
_Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
_Chance = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0)]


def _strict(column: Category | Number) -> Any:
    return column.json_type()


Customer = customer_struct(_strict, _ID, forbid_unknown_fields=True)


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A list of customers and, if the caller pins one, the model's id."""

    customers: list[Customer]  # type: ignore[valid-type]
    model: Annotated[
        str | None,
        Meta(
            description="the registered model to answer by; the champion if left out. GET /models lists them",
            examples=["deposit-v7"],
        ),
    ] = None


class Prediction(msgspec.Struct):
    """The answer for one customer."""

    id: _ID
    prediction_id: Annotated[_Uuid, Meta(description="UUID version 7")]
    probability: _Chance
    subscribes: Annotated[bool, Meta(description="probability is at or above the model's threshold")]


_Stale = Annotated[bool, Meta(description="whether the model is older than it may be for the time of the request")]


class PredictResponse(msgspec.Struct):
    """Predictions in the order of the customers."""

    model: str
    stale: _Stale
    predictions: list[Prediction]


class Outcome(msgspec.Struct):
    """What became of one prediction."""

    prediction_id: Annotated[_Uuid, Meta(description="as /predict or /rank gave it")]
    subscribed: bool
    at: Annotated[
        str | None,
        Meta(
            description="when it became known, with offset; the time of receipt if left out",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None


class OutcomesRequest(msgspec.Struct):
    """Outcomes, accepted all or none."""

    outcomes: list[Outcome]


class OutcomesResponse(msgspec.Struct):
    """How many outcomes were accepted: all that were sent."""

    accepted: Annotated[int, Meta(ge=1)]


class Models(msgspec.Struct):
    """The models and the prices by which their calls are valued."""

    models: list[dict[str, Any]]
    deposit_value: Annotated[float, Meta(description="of one subscription, in the unit of call_cost")]
    call_cost: Annotated[float, Meta(description="of one call")]
    capacity: Annotated[int | None, Meta(description="calls that can be made a month, if that is set")]
    break_even: Annotated[float, Meta(description="the probability from which a call pays; above 1 if none can")]


class Reason(msgspec.Struct):
    """What one column does to a customer's score; `effect` in log-odds, above 0 speaks for a call."""

    column: str
    effect: float
    text: str


class RankedRow(msgspec.Struct, omit_defaults=True):
    """One customer of a list; `reasons` are there for those to be called, if they were wanted."""

    rank: Annotated[int, Meta(ge=1)]
    line: Annotated[int, Meta(ge=2, description="of the file, whose first line is 1")]
    id: str | None
    prediction_id: _Uuid
    probability: _Chance
    expected_value: float
    call: bool
    reasons: list[Reason] | msgspec.UnsetType = msgspec.UNSET


class RejectedRow(msgspec.Struct):
    """A row of a list that was not scored."""

    line: int
    reason: str


class ExtraColumn(msgspec.Struct):
    """A column of a list that was not used."""

    column: str
    reason: str


class CallPlan(msgspec.Struct):
    """So many calls, and what they are expected to bring."""

    calls: _Count
    expected_subscriptions: float
    expected_profit: float


class ProfitCurve(msgspec.Struct):
    """What the best so many calls are expected to bring; lists of one length, with some 200 points at most."""

    calls: list[_Count]
    expected_subscriptions: list[float]
    expected_profit: list[float]


class RankOutlook(msgspec.Struct):
    """What a list's calls are worth beside other choices, at the prices asked for."""

    best: Annotated[CallPlan, Meta(description="the number of calls that earns most")]
    everyone: CallPlan
    random: Annotated[CallPlan, Meta(description="as many calls as `called`, at random")]
    best_choice: Annotated[
        Literal["model", "everyone", "nobody"],
        Meta(description="what earns most: the calls marked here, calling everyone, or calling nobody"),
    ]
    curve: ProfitCurve


class RankSummary(msgspec.Struct):
    """Remarks on a whole list."""

    model: str
    stale: _Stale
    rows: _Count
    rejected: _Count
    extra_columns: list[ExtraColumn]
    header_line: Annotated[int, Meta(ge=1, description="of the file, on which the columns' names stand")]
    readings: Annotated[
        list[Reading],
        Meta(description="what was read by its spelling; the text … stands for spellings beyond 20 of a column"),
    ]
    deposit_value: float
    call_cost: float
    capacity: int | None
    break_even: Annotated[float, Meta(description="the probability from which a call pays")]
    called: _Count
    expected_subscriptions: float
    expected_profit: float
    outlook: RankOutlook


class RankResponse(RankSummary):
    """A ranked list: the best calls first, then what was rejected, in the file's order."""

    ranked: list[RankedRow]
    rejected_rows: list[RejectedRow]


decode_request = msgspec.json.Decoder(PredictRequest).decode
encode = msgspec.json.Encoder().encode


def may_repeat_fields(body: bytes, request: PredictRequest) -> bool:
    """Whether a field may stand more than once in a body that was read, of which the last one counts.

    A body has as many colons as fields, beside those of its texts; one with escapes or nulls may have more.
    """
    if b"\\" in body:
        return True
    customers, model = request.customers, request.model
    texts = model or ""
    fields = 1 + len(NAMES) * len(customers) + (model is not None)
    for customer in customers:
        identity = customer.id  # type: ignore[attr-defined]
        if identity is not None:
            fields += 1
            if isinstance(identity, str):
                texts += identity
    return body.count(b":") != fields + texts.count(":")


def rows(customers: list[Any]) -> list[tuple[Any, ...]]:
    """The customers' values in the encoder's column order."""
    width = len(NAMES)
    return [msgspec.structs.astuple(customer)[:width] for customer in customers]
