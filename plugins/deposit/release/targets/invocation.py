"""Requests to a version of a function: it has no address, so they go as events by Lambda's own API."""

import base64
import time
import uuid
from typing import Any

import httpx

from deposit.release.targets.lambda_function import LambdaFunction

_HOST = "releaser.invalid"


def invoking(function: LambdaFunction, version: str) -> httpx.Client:
    """Asks a version as an HTTP API would."""
    return httpx.Client(transport=_Invocation(function, version), base_url=f"https://{_HOST}")


class _Invocation(httpx.BaseTransport):
    """Events of format 2.0 out of requests, and responses out of what the function gives."""

    def __init__(self, function: LambdaFunction, version: str) -> None:
        self._function = function
        self._version = version

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The version's answer. Raises ReleaseError, UpstreamError."""
        answer = self._function.invoke(self._version, _event(request))
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        return httpx.Response(answer["statusCode"], headers=answer.get("headers") or {}, content=content)


def _event(request: httpx.Request) -> dict[str, Any]:
    path = request.url.path
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "headers": dict(request.headers),
        "requestContext": {
            "domainName": _HOST,
            "http": {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": time.time_ns() // 1_000_000,
        },
        "body": base64.b64encode(request.read()).decode(),
        "isBase64Encoded": True,
    }
