"""The OpenAPI document, generated from the request and response structs and the column descriptions."""

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
    "408": "timeout while reading the body",
    "413": "body too large once decompressed",
    "415": "unsupported media type, charset or Content-Encoding",
    "422": "invalid rows or fields",
    "429": "too many requests with this key; see Retry-After",
    "500": "internal error; the message contains the request id",
    "502": "the files of a registered model are corrupt",
    "503": "the prediction log or a model is unavailable; see Retry-After",
}
_EVENT_TIME = {
    "name": "X-Event-Time",
    "in": "header",
    "description": "event time of the predictions, a past time with its UTC offset; for keys with the role admin",
    "schema": {"type": "string", "format": "date-time"},
}
_DRY_RUN = {
    "name": "X-Dry-Run",
    "in": "header",
    "description": "if set, the predictions are not logged; for keys with the role admin",
    "schema": {"type": "string", "enum": ["true"]},
}

_OF_FILES = {
    "X-Readings": "for CSV and .xlsx: values read by their spelling, as `readings` in the JSON response, in ASCII",
    "X-Header-Line": "for CSV and .xlsx: the line of the uploaded file that contains the column names",
    "X-Charset": "for CSV and .xlsx: the charset with which the file was read; absent for workbooks and Parquet",
    "X-Separator": "for CSV and .xlsx: the separator of the file: semicolon, comma, tab or bar; absent likewise",
}
_SHEET = "header of the /rank response: adds it to a sheet of values read by their spelling; without X-Readings, none"


def document(max_customers: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "deposit",
            "version": "1",
            "description": (
                "Which customers to call with a term-deposit offer. Every response carries X-Request-Id. "
                "Bodies may be compressed with Content-Encoding: gzip or deflate. An integer "
                "may be written 41, 41.0 or 4.1e1."
            ),
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas(max_customers),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "API key, if configured"}},
        },
        "security": [{"key": []}, {}],
    }


def _paths() -> dict[str, Any]:
    problem = {code: _json(text, "Error") for code, text in _ERRORS.items()}
    request = {"schema": ref("PredictRequest"), "example": {"customers": [EXAMPLE_CUSTOMER]}}
    return {
        "/predict": {
            "post": {
                "summary": "Score customers; predictions are returned in the order sent",
                "parameters": [_EVENT_TIME, _DRY_RUN],
                "requestBody": {"required": True, "content": {"application/json": request}},
                "responses": {"200": _json("one prediction per customer", "PredictResponse"), **problem},
            }
        },
        "/rank": _rank(problem),
        "/workbook": _workbook(problem),
        "/outcomes": {
            "post": {
                "summary": "Report the outcomes of calls, in any order; repeats and corrections are accepted",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": ref("OutcomesRequest"), "example": EXAMPLE_OUTCOMES},
                        "text/csv": {"schema": {"type": "string", "description": _OUTCOMES_CSV}},
                        _XLSX: _BYTES,
                    },
                },
                "responses": {"200": _json("number of accepted outcomes", "OutcomesResponse"), **problem},
            }
        },
        "/models": _get("The served model and its out-of-time metrics", _json("the models", "Models"), problem),
        "/card": _get("The served model's card, as a web page", _plain("text/html"), problem),
        "/metrics": _get("Prometheus metrics", _plain("text/plain"), problem),
        "/docs.json": _get("This document", _plain("application/json")),
        "/docs": _get("Interactive documentation of this API", _plain("text/html")),
        "/": _get("The web page", _plain("text/html")),
        "/livez": _get("Whether the process is alive", _plain("text/plain")),
        "/readyz": _get("Whether it is ready for requests", _plain("text/plain")),
    }


def _rank(problem: dict[str, Any]) -> dict[str, Any]:
    amount = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e12}
    wishes = {
        "capacity": {
            "type": "integer",
            "minimum": 0,
            "maximum": 999_999_999,
            "description": "number of calls; configured by a setting if omitted",
        },
        "deposit_value": {**amount, "description": "value of a subscription; configured by a setting if omitted"},
        "call_cost": {**amount, "description": "cost of a call; configured by a setting if omitted"},
        "reasons": {"type": "boolean", "description": "explain the scores of the customers to call, 10,000 at most"},
        "model": {"type": "string", "description": "the registered model to use"},
        "charset": {"type": "string", "description": "encoding of the list, like windows-1252; UTF-8 if omitted"},
    }
    file = {"type": "string", "format": "binary", "description": "the CSV or .xlsx; see docs/ranking.md"}
    form = {"type": "object", "properties": {"file": file, **wishes}, "required": ["file"]}
    query = [
        {"name": name, "in": "query", "schema": schema, "description": "same as the form field"}
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
            "summary": "Convert a ranked list from the CSV of /rank to .xlsx; nothing is scored or recorded",
            "parameters": [
                {"name": name, "in": "header", "schema": {"type": "string"}, "description": _SHEET}
                for name in _OF_FILES
            ],
            "requestBody": {"required": True, "content": {"text/csv": _TEXT}},
            "responses": {"200": {"description": "the list", "content": {_XLSX: _BYTES}}, **problem},
        }
    }


def _json(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def _plain(media_type: str) -> dict[str, Any]:
    return {"description": "the content", "content": {media_type: {}}}


def _get(summary: str, response: dict[str, Any], errors: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": response, **errors}}}


def ref(name: str) -> dict[str, str]:
    """Return a reference to a component schema."""
    return {"$ref": _REF.format(name=name)}


def schemas(max_customers: int) -> dict[str, Any]:
    """Return all component schemas by name, generated from the request and response structs."""
    _, components = msgspec.json.schema_components(_BODIES, ref_template=_REF)
    for schema in components.values():
        schema["additionalProperties"] = False
    components["Customer"]["properties"] |= {column.name: column.json_schema() for column in FEATURES}
    for name, items in (("PredictRequest", "customers"), ("OutcomesRequest", "outcomes")):
        components[name]["properties"][items] |= {"minItems": 1, "maxItems": max_customers}
    return components
