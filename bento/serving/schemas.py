"""The schemas of the OpenAPI document, made from the column descriptions."""

from typing import Any

from deposit.data.columns import FEATURES, Category, Number
from serving.customers import MAX_ID, MAX_ID_LENGTH, MIN_ID

_ID = {
    "anyOf": [
        {"type": "integer", "minimum": MIN_ID, "maximum": MAX_ID},
        {"type": "string", "maxLength": MAX_ID_LENGTH},
        {"type": "null"},
    ],
    "description": "comes back as it was sent; an integer is written without a decimal point: 7, not 7.0",
}


def schemas(max_customers: int) -> dict[str, Any]:
    """All component schemas, by name."""
    customers = {"type": "array", "minItems": 1, "maxItems": max_customers, "items": ref("Customer")}
    model = {
        "type": ["string", "null"],
        "description": "the registered model to answer by; the champion if left out. GET /models lists them",
        "examples": ["deposit-v7"],
    }
    prediction = {
        "id": _ID,
        "prediction_id": {"type": "string", "format": "uuid", "description": "UUID version 7"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "subscribes": {"type": "boolean", "description": "probability is at or above the model's threshold"},
    }
    problem = {
        "row": {"type": ["integer", "null"], "description": "position in `customers`, counted from 0"},
        "field": {"type": ["string", "null"]},
        "message": {"type": "string", "description": "what is wrong and what is allowed"},
    }
    outcome = {
        "prediction_id": {"type": "string", "format": "uuid", "description": "as /predict or /rank gave it"},
        "subscribed": {"type": "boolean"},
        "at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "when it became known, with offset; the time of receipt if left out",
        },
    }
    columns = {column.name: _column(column) for column in FEATURES}
    return {
        "Customer": _object({"id": _ID, **columns}, required=list(columns)),
        "PredictRequest": _object({"customers": customers, "model": model}, required=["customers"]),
        "Prediction": _object(prediction, required=list(prediction)),
        "PredictResponse": _object(
            {"model": {"type": "string"}, "predictions": {"type": "array", "items": ref("Prediction")}},
            required=["model", "predictions"],
        ),
        "Outcome": _object(outcome, required=["prediction_id", "subscribed"]),
        "OutcomesRequest": _object(
            {"outcomes": {"type": "array", "minItems": 1, "maxItems": max_customers, "items": ref("Outcome")}},
            required=["outcomes"],
        ),
        "OutcomesResponse": _object({"accepted": {"type": "integer", "minimum": 1}}, required=["accepted"]),
        "Models": _object(
            {
                "models": {"type": "array", "items": {"type": "object"}},
                "deposit_value": {"type": "number", "description": "of one subscription, in the unit of call_cost"},
                "call_cost": {"type": "number", "description": "of one call"},
            },
            required=["models", "deposit_value", "call_cost"],
        ),
        **_ranking(),
        "Problem": _object(problem, required=list(problem)),
        "Error": _object({"detail": {"type": "array", "items": ref("Problem")}}, required=["detail"]),
    }


def _column(column: Category | Number) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"type": "string", "enum": list(column.allowed), "description": column.meaning}
    kind = "integer" if column.integer else "number"
    return {"type": kind, "minimum": column.low, "maximum": column.high, "description": column.meaning}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def ref(name: str) -> dict[str, str]:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def _ranking() -> dict[str, Any]:
    amount, count = {"type": "number"}, {"type": "integer", "minimum": 0}
    reason = {"column": {"type": "string"}, "effect": amount, "text": {"type": "string"}}
    row = {
        "rank": {"type": "integer", "minimum": 1},
        "line": {"type": "integer", "minimum": 2, "description": "of the file, whose first line is 1"},
        "id": {"type": ["string", "null"]},
        "prediction_id": {"type": "string", "format": "uuid"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "expected_value": amount,
        "call": {"type": "boolean"},
        "reasons": {"type": "array", "items": ref("Reason")},
    }
    extra = _object({"column": {"type": "string"}, "reason": {"type": "string"}}, required=["column", "reason"])
    whole = {
        "model": {"type": "string"},
        "rows": count,
        "rejected": count,
        "extra_columns": {"type": "array", "items": extra},
        "deposit_value": amount,
        "call_cost": amount,
        "capacity": {"type": ["integer", "null"]},
        "break_even": {"type": "number", "description": "the probability from which a call pays"},
        "called": count,
        "expected_subscriptions": amount,
        "expected_profit": amount,
        "ranked": {"type": "array", "items": ref("RankedRow")},
        "rejected_rows": {"type": "array", "items": ref("RejectedRow")},
    }
    return {
        "Reason": _object(reason, required=list(reason)),
        "RankedRow": _object(row, required=[name for name in row if name != "reasons"]),
        "RejectedRow": _object(
            {"line": {"type": "integer"}, "reason": {"type": "string"}}, required=["line", "reason"]
        ),
        "RankResponse": _object(whole, required=list(whole)),
    }
