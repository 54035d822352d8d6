"""Events as an HTTP API of API Gateway gives them to a function (payload format 2.0), and the answers to them."""

import base64
import json
from typing import Any
from urllib.parse import quote

LIMIT = 6 * 2**20
"""Bytes that Lambda takes of an event, and of an answer."""
_DOMAIN = "abcdef1234.execute-api.eu-central-1.amazonaws.com"
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def http_event(
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    headers: dict[str, str] | None = None,
    query: str = "",
    cookies: list[str] | None = None,
    stage: str = "$default",
) -> dict[str, Any]:
    """The event of a request; a body that is no text comes as base64, a stage's name stands in the path."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    raw = quote(path if stage == "$default" else f"/{stage}{path}")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw,
        "rawQueryString": query,
        "headers": {
            "accept": "*/*",
            "content-length": str(len(body or b"")),
            "host": _DOMAIN,
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "205.255.255.176",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **sent,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef1234",
            "domainName": _DOMAIN,
            "domainPrefix": "abcdef1234",
            "http": {
                "method": method,
                "path": raw,
                "protocol": "HTTP/1.1",
                "sourceIp": "205.255.255.176",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1583817383220,
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if body is not None:
        is_text = sent.get("content-type", "").startswith(_TEXT) and "content-encoding" not in sent
        event["isBase64Encoded"] = not is_text
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event


def body_of(answer: dict[str, Any]) -> bytes:
    """The body that the client gets."""
    body: str = answer["body"]
    return base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()


def json_of(answer: dict[str, Any]) -> Any:
    """The same as JSON."""
    return json.loads(body_of(answer))
