"""The OpenAPI document, made from the column descriptions."""

from typing import Any

from deposit.data.columns import FEATURES, Category, Number
from serving.customers import MAX_ID_LENGTH

EXAMPLE_CUSTOMER: dict[str, Any] = {
    "id": "customer-1", "age": 41, "job": "technician", "marital": "married", "education": "university.degree",
    "default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "may", "day_of_week": "mon",
    "campaign": 1, "pdays": 999, "previous": 0, "poutcome": "nonexistent", "emp.var.rate": -1.8,
    "cons.price.idx": 92.893, "cons.conf.idx": -46.2, "euribor3m": 1.299, "nr.employed": 5099.1,
}  # fmt: skip
_ID = {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": MAX_ID_LENGTH}, {"type": "null"}]}
_ERRORS = {
    "400": "malformed JSON",
    "404": "no such path or model",
    "405": "wrong method",
    "413": "body too large",
    "415": "not application/json",
    "422": "rows or fields are not as they must be",
    "500": "the service failed; carries the request id",
}


def document(max_customers: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "deposit",
            "version": "1",
            "description": "Which customers to call with a term-deposit offer. Every answer carries X-Request-Id.",
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(max_customers)},
    }


def _paths() -> dict[str, Any]:
    problem = {code: _json(text, "Error") for code, text in _ERRORS.items()}
    request = {"schema": _ref("PredictRequest"), "example": {"customers": [EXAMPLE_CUSTOMER]}}
    return {
        "/predict": {
            "post": {
                "summary": "Score customers; the answers come in the order sent",
                "requestBody": {"required": True, "content": {"application/json": request}},
                "responses": {"200": _json("one prediction a customer", "PredictResponse"), **problem},
            }
        },
        "/models": _get("The served model and its out-of-time metrics", _json("the models", "Models")),
        "/metrics": _get("Prometheus metrics", _plain("text/plain")),
        "/docs.json": _get("This document", _plain("application/json")),
        "/": _get("A page for people", _plain("text/html")),
        "/livez": _get("Whether the process lives", _plain("text/plain")),
        "/readyz": _get("Whether it can answer", _plain("text/plain")),
    }


def _schemas(max_customers: int) -> dict[str, Any]:
    customers = {"type": "array", "minItems": 1, "maxItems": max_customers, "items": _ref("Customer")}
    model = {
        "type": ["string", "null"],
        "description": "refuse to answer by any other model",
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
    columns = {column.name: _column(column) for column in FEATURES}
    return {
        "Customer": _object({"id": _ID, **columns}, required=list(columns)),
        "PredictRequest": _object({"customers": customers, "model": model}, required=["customers"]),
        "Prediction": _object(prediction, required=list(prediction)),
        "PredictResponse": _object(
            {"model": {"type": "string"}, "predictions": {"type": "array", "items": _ref("Prediction")}},
            required=["model", "predictions"],
        ),
        "Models": _object({"models": {"type": "array", "items": {"type": "object"}}}, required=["models"]),
        "Problem": _object(problem, required=list(problem)),
        "Error": _object({"detail": {"type": "array", "items": _ref("Problem")}}, required=["detail"]),
    }


def _column(column: Category | Number) -> dict[str, Any]:
    if isinstance(column, Category):
        return {"type": "string", "enum": list(column.allowed), "description": column.meaning}
    kind = "integer" if column.integer else "number"
    return {"type": kind, "minimum": column.low, "maximum": column.high, "description": column.meaning}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _plain(media_type: str) -> dict[str, Any]:
    return {"description": "the content", "content": {media_type: {}}}


def _get(summary: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": answer}}}
