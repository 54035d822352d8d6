"""The OpenAPI document, made from the structures of requests and answers and the column descriptions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from deposit.data.columns import FEATURES
from serving.http import XLSX
from serving.problems import Error
from serving.request_schemas import (
    Models,
    OutcomesRequest,
    OutcomesResponse,
    PredictRequest,
    PredictResponse,
    RankResponse,
)

_REF = "#/components/schemas/{name}"
_BODIES = (PredictRequest, PredictResponse, RankResponse, OutcomesRequest, OutcomesResponse, Models, Error)
EXAMPLE_CUSTOMER: dict[str, Any] = {"id": "customer-1", **{column.name: column.example for column in FEATURES}}
EXAMPLE_OUTCOMES: dict[str, Any] = {
    "outcomes": [
        {"prediction_id": "0190a6b3-7c1e-7d52-9c3a-5e0f6a1b2c3d", "subscribed": True, "at": "2026-03-02T16:20:00Z"}
    ]
}
_XLSX = XLSX.decode()
_TEXT = {"schema": {"type": "string"}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
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

_OF_FILES = {
    "X-Readings": "with a CSV or .xlsx: what was read by its spelling, `readings` of the JSON answer in ASCII",
    "X-Header-Line": "with a CSV or .xlsx: the line of the sent file on which the columns' names stand",
}
_SHEET = "as /rank gave it with the list: the workbook then has a sheet of what was read by its spelling"


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
        "/workbook": _workbook(problem),
        "/outcomes": {
            "post": {
                "summary": "Tell what came of calls; again, late, early or corrected, all is well",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": ref("OutcomesRequest"), "example": EXAMPLE_OUTCOMES},
                        "text/csv": {"schema": {"type": "string", "description": _OUTCOMES_CSV}},
                        _XLSX: _BYTES,
                    },
                },
                "responses": {"200": _json("how many were accepted", "OutcomesResponse"), **problem},
            }
        },
        "/models": _get("The served model and its out-of-time metrics", _json("the models", "Models"), problem),
        "/card": _get("The served model's card, for people", _plain("text/html"), problem),
        "/metrics": _get("Prometheus metrics", _plain("text/plain"), problem),
        "/docs.json": _get("This document", _plain("application/json")),
        "/docs": _get("This document, to read and to try", _plain("text/html")),
        "/": _get("A page for people", _plain("text/html")),
        "/livez": _get("Whether the process lives", _plain("text/plain")),
        "/readyz": _get("Whether it can answer", _plain("text/plain")),
    }


def _rank(problem: dict[str, Any]) -> dict[str, Any]:
    amount = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e12}
    wishes = {
        "capacity": {
            "type": "integer",
            "minimum": 0,
            "maximum": 999_999_999,
            "description": "call the best so many; a setting if left out",
        },
        "deposit_value": {**amount, "description": "value of a subscription; a setting if left out"},
        "call_cost": {**amount, "description": "cost of a call; a setting if left out"},
        "reasons": {"type": "boolean", "description": "tell the reasons for the best 10,000 of those to be called"},
        "model": {"type": "string", "description": "the registered model to answer by"},
        "charset": {"type": "string", "description": "of the list's text, like windows-1252; UTF-8 if left out"},
    }
    file = {"type": "string", "format": "binary", "description": "the CSV or .xlsx; see docs/ranking.md"}
    form = {"type": "object", "properties": {"file": file, **wishes}, "required": ["file"]}
    query = [
        {"name": name, "in": "query", "schema": schema, "description": "the same as the form's field"}
        for name, schema in wishes.items()
    ]
    ranked = _json("the list, best calls first", "RankResponse")
    ranked["content"] |= {"text/csv": _TEXT, _XLSX: _BYTES}
    ranked["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in _OF_FILES.items()}
    return {
        "post": {
            "summary": "Rank a list of customers by the expected value of calling them",
            "parameters": [_EVENT_TIME, _DRY_RUN, *query],
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form}, "text/csv": _TEXT, _XLSX: _BYTES},
            },
            "responses": {"200": ranked, **problem},
        }
    }


def _workbook(problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "summary": "Make an .xlsx of a ranked list, as /rank gives it as CSV; nothing is scored or recorded",
            "parameters": [{"name": "X-Readings", "in": "header", "schema": {"type": "string"}, "description": _SHEET}],
            "requestBody": {"required": True, "content": {"text/csv": _TEXT}},
            "responses": {"200": {"description": "the list", "content": {_XLSX: _BYTES}}, **problem},
        }
    }


def _json(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def _plain(media_type: str) -> dict[str, Any]:
    return {"description": "the content", "content": {media_type: {}}}


def _get(summary: str, answer: dict[str, Any], refusals: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": answer, **refusals}}}


def ref(name: str) -> dict[str, str]:
    """A reference to a component schema."""
    return {"$ref": _REF.format(name=name)}


def schemas(max_customers: int) -> dict[str, Any]:
    """All component schemas, by name: those of the structures that are read and written."""
    _, components = msgspec.json.schema_components(_BODIES, ref_template=_REF)
    for schema in components.values():
        schema["additionalProperties"] = False
    components["Customer"]["properties"] |= {column.name: column.json_schema() for column in FEATURES}
    for name, items in (("PredictRequest", "customers"), ("OutcomesRequest", "outcomes")):
        components[name]["properties"][items] |= {"minItems": 1, "maxItems": max_customers}
    return components
