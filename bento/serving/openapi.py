"""The OpenAPI document, made from the column descriptions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deposit.data.columns import FEATURES, Category, Number
from serving.request_schemas import MAX_ID, MAX_ID_LENGTH, MIN_ID

EXAMPLE_CUSTOMER: dict[str, Any] = {
    "id": "customer-1", "age": 41, "job": "technician", "marital": "married", "education": "university.degree",
    "default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "may", "day_of_week": "mon",
    "campaign": 1, "pdays": 999, "previous": 0, "poutcome": "nonexistent", "emp.var.rate": -1.8,
    "cons.price.idx": 92.893, "cons.conf.idx": -46.2, "euribor3m": 1.299, "nr.employed": 5099.1,
}  # fmt: skip
EXAMPLE_OUTCOMES: dict[str, Any] = {
    "outcomes": [
        {"prediction_id": "0190a6b3-7c1e-7d52-9c3a-5e0f6a1b2c3d", "subscribed": True, "at": "2026-03-02T16:20:00Z"}
    ]
}
_OUTCOMES_CSV = "columns prediction_id, subscribed (yes or no) and, optionally, at; separated by ; or ,"
_ERRORS = {
    "400": "malformed body",
    "401": "no API key, or an unknown one",
    "403": "the key lacks the role, or a header is for admins",
    "404": "no such path or model",
    "405": "wrong method",
    "408": "the body stopped coming",
    "413": "body too large once decompressed",
    "415": "a media type, charset or Content-Encoding that is not read here",
    "422": "rows or fields are not as they must be",
    "429": "too many requests of this key; see Retry-After",
    "500": "the service failed; carries the request id",
    "503": "the prediction log or a model cannot be reached; see Retry-After",
}
_EVENT_TIME = {
    "name": "X-Event-Time",
    "in": "header",
    "description": "when the predictions count as made, a past time with its offset; for keys with the role admin",
    "schema": {"type": "string", "format": "date-time"},
}
_DRY_RUN = {
    "name": "X-Dry-Run",
    "in": "header",
    "description": "if it is sent, the predictions leave no trace in the log; for keys with the role admin",
    "schema": {"type": "string", "enum": ["true"]},
}


def document(max_customers: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "deposit",
            "version": "1",
            "description": (
                "Which customers to call with a term-deposit offer. Every answer carries X-Request-Id. "
                "Bodies may be compressed, with Content-Encoding: gzip or deflate. A whole "
                "number may be written 41, 41.0 or 4.1e1."
            ),
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas(max_customers),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key, where set"}},
        },
        "security": [{"key": []}, {}],
    }


def _paths() -> dict[str, Any]:
    problem = {code: _json(text, "Error") for code, text in _ERRORS.items()}
    request = {"schema": ref("PredictRequest"), "example": {"customers": [EXAMPLE_CUSTOMER]}}
    return {
        "/predict": {
            "post": {
                "summary": "Score customers; the answers come in the order sent",
                "parameters": [_EVENT_TIME, _DRY_RUN],
                "requestBody": {"required": True, "content": {"application/json": request}},
                "responses": {"200": _json("one prediction a customer", "PredictResponse"), **problem},
            }
        },
        "/rank": _rank(problem),
        "/outcomes": {
            "post": {
                "summary": "Tell what came of calls; again, late, early or corrected, all is well",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": ref("OutcomesRequest"), "example": EXAMPLE_OUTCOMES},
                        "text/csv": {"schema": {"type": "string", "description": _OUTCOMES_CSV}},
                    },
                },
                "responses": {"200": _json("how many were accepted", "OutcomesResponse"), **problem},
            }
        },
        "/models": _get("The served model and its out-of-time metrics", _json("the models", "Models"), problem),
        "/metrics": _get("Prometheus metrics", _plain("text/plain"), problem),
        "/docs.json": _get("This document", _plain("application/json")),
        "/": _get("A page for people", _plain("text/html")),
        "/livez": _get("Whether the process lives", _plain("text/plain")),
        "/readyz": _get("Whether it can answer", _plain("text/plain")),
    }


def _rank(problem: dict[str, Any]) -> dict[str, Any]:
    amount = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e12}
    wishes = {
        "capacity": {"type": "integer", "minimum": 0, "maximum": 999_999_999, "description": "call the best so many"},
        "deposit_value": {**amount, "description": "value of a subscription; a setting if left out"},
        "call_cost": {**amount, "description": "cost of a call; a setting if left out"},
        "reasons": {"type": "boolean", "description": "tell the reasons for the best 10,000 of those to be called"},
        "model": {"type": "string", "description": "the registered model to answer by"},
        "charset": {"type": "string", "description": "of the list's text, like windows-1252; UTF-8 if left out"},
    }
    file = {"type": "string", "format": "binary", "description": "the CSV; see docs/ranking.md"}
    form = {"type": "object", "properties": {"file": file, **wishes}, "required": ["file"]}
    query = [
        {"name": name, "in": "query", "schema": schema, "description": "the same as the form's field"}
        for name, schema in wishes.items()
    ]
    ranked = _json("the list, best calls first", "RankResponse")
    ranked["content"]["text/csv"] = {"schema": {"type": "string"}}
    return {
        "post": {
            "summary": "Rank a CSV of customers by the expected value of calling them",
            "parameters": [_EVENT_TIME, _DRY_RUN, *query],
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form}, "text/csv": {"schema": {"type": "string"}}},
            },
            "responses": {"200": ranked, **problem},
        }
    }


def _json(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def _plain(media_type: str) -> dict[str, Any]:
    return {"description": "the content", "content": {media_type: {}}}


def _get(summary: str, answer: dict[str, Any], refusals: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": answer, **refusals}}}


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
