"""Request and response structs; the strict struct of a customer is generated from the column descriptions."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from deposit.data.columns import NAMES, Category, Number, customer_struct
from deposit.data.readings import Reading

MAX_ID_LENGTH = 128
MIN_ID, MAX_ID = -(2**63), 2**63 - 1

_Identity = Annotated[int, Meta(ge=MIN_ID, le=MAX_ID)] | Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
_SAME_ID = "returned exactly as sent; an integer must be written without a decimal point: 7, not 7.0"
_ID = Annotated[_Identity | None, Meta(description=_SAME_ID)]
_Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
_Chance = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0)]


def _strict(column: Category | Number) -> Any:
    return column.json_type()


Customer = customer_struct(_strict, _ID, forbid_unknown_fields=True)


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A list of customers and, optionally, the id of the model to use."""

    customers: list[Customer]  # type: ignore[valid-type]
    model: Annotated[
        str | None,
        Meta(
            description="the registered model to use; the champion if omitted. GET /models lists them",
            examples=["deposit-v7"],
        ),
    ] = None


class Prediction(msgspec.Struct):
    """The prediction for one customer."""

    id: _ID
    prediction_id: Annotated[_Uuid, Meta(description="UUID version 7")]
    probability: _Chance
    subscribes: Annotated[bool, Meta(description="whether the probability is at or above the model's threshold")]


_Stale = Annotated[bool, Meta(description="whether the model had expired at the time of the request")]


class PredictResponse(msgspec.Struct):
    """Predictions, in the order of the customers."""

    model: str
    stale: _Stale
    predictions: list[Prediction]


class Outcome(msgspec.Struct):
    """The outcome of one prediction."""

    prediction_id: Annotated[_Uuid, Meta(description="as returned by /predict or /rank")]
    subscribed: bool
    at: Annotated[
        str | None,
        Meta(
            description="when the outcome became known, with UTC offset; the time of receipt if omitted",
            extra_json_schema={"format": "date-time"},
        ),
    ] = None


class OutcomesRequest(msgspec.Struct):
    """Outcomes, of which all are accepted or none."""

    outcomes: list[Outcome]


class OutcomesResponse(msgspec.Struct):
    """Number of accepted outcomes: all that were sent."""

    accepted: Annotated[int, Meta(ge=1)]


class Models(msgspec.Struct):
    """The models, and the prices at which calls are valued."""

    models: list[dict[str, Any]]
    deposit_value: Annotated[float, Meta(description="value of a subscription, in the unit of call_cost")]
    call_cost: Annotated[float, Meta(description="cost of a call")]
    capacity: Annotated[int | None, Meta(description="number of calls per month, if configured")]
    break_even: Annotated[float, Meta(description="probability above which a call pays; above 1 if no call can pay")]


class Reason(msgspec.Struct):
    """The contribution of one column to a customer's score; a positive `effect` (in log-odds) favours a call."""

    column: str
    effect: float
    text: str


class RankedRow(msgspec.Struct, omit_defaults=True):
    """One customer of a list; `reasons` are set for the customers to call, if they were requested."""

    rank: Annotated[int, Meta(ge=1)]
    line: Annotated[int, Meta(ge=2, description="line of the file, counted from 1")]
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
    """A number of calls, with its expected subscriptions and profit."""

    calls: _Count
    expected_subscriptions: float
    expected_profit: float


class ProfitCurve(msgspec.Struct):
    """Expected subscriptions and profit of calling the best n customers: lists of equal length, about 200 points."""

    calls: list[_Count]
    expected_subscriptions: list[float]
    expected_profit: list[float]


class RankOutlook(msgspec.Struct):
    """Expected value of the planned calls compared with alternatives, at the requested prices."""

    best: Annotated[CallPlan, Meta(description="the most profitable number of calls")]
    everyone: CallPlan
    random: Annotated[CallPlan, Meta(description="as many calls as `called`, to customers chosen at random")]
    best_choice: Annotated[
        Literal["model", "everyone", "nobody"],
        Meta(description="the most profitable choice: the calls marked here, calling everyone, or calling nobody"),
    ]
    curve: ProfitCurve


class RankSummary(msgspec.Struct):
    """Summary of a whole list."""

    model: str
    stale: _Stale
    rows: _Count
    rejected: _Count
    extra_columns: list[ExtraColumn]
    charset: Annotated[
        str | None,
        Meta(description="charset with which the file was read, stated or not; null for workbooks and Parquet"),
    ]
    separator: Annotated[
        str | None,
        Meta(description="separator of the cells: semicolon, comma, tab or bar; null for workbooks and Parquet"),
    ]
    header_line: Annotated[int, Meta(ge=1, description="line of the file that contains the column names")]
    readings: Annotated[
        list[Reading],
        Meta(description="values read by their spelling; the text … stands for further spellings, beyond 20 a column"),
    ]
    deposit_value: float
    call_cost: float
    capacity: int | None
    break_even: Annotated[float, Meta(description="probability above which a call pays")]
    called: _Count
    expected_subscriptions: float
    expected_profit: float
    outlook: RankOutlook


class RankResponse(RankSummary):
    """A ranked list: customers with the best first, then the rejected rows in the file's order."""

    ranked: list[RankedRow]
    rejected_rows: list[RejectedRow]


decode_request = msgspec.json.Decoder(PredictRequest).decode
encode = msgspec.json.Encoder().encode


def may_repeat_fields(body: bytes, request: PredictRequest) -> bool:
    """Return whether a decoded body may contain a field twice; the fast decoder silently takes the last one.

    Without repeated fields, the number of colons equals the number of fields plus the colons inside strings. A body
    with escapes or nulls may have more colons, so a True result has to be checked by a full parse.
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
    """Return the customers' values in the encoder's column order."""
    width = len(NAMES)
    return [msgspec.structs.astuple(customer)[:width] for customer in customers]
