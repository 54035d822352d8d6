"""Read-only client for MLflow's REST API; importing MLflow's own library takes more than a second."""

import os
import ssl
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from deposit.errors import UpstreamError, remedy

ABSENT = "RESOURCE_DOES_NOT_EXIST"
"""MLflow's error code for something that does not exist."""
FAILURES = (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, UnicodeDecodeError)
"""Errors that `ask` raises if the request fails or the response is not as expected."""
_REFUSALS = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND)
_SECONDS, _CONNECT_SECONDS = 60.0, 5.0
_Response = TypeVar("_Response")


class Pair(msgspec.Struct, frozen=True):
    """A tag in MLflow's JSON."""

    key: str
    value: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error_code: str = ""


def by_key(tags: Sequence[Pair]) -> dict[str, str]:
    """Tags as a mapping from key to value."""
    return {tag.key: tag.value for tag in tags}


def ask(
    uri: str,
    path: str,
    query: Mapping[str, str],
    kind: type[_Response],
    absent: Set[str] = frozenset({ABSENT}),
    seconds: float = _SECONDS,
    api: str = "mlflow",
) -> _Response | None:
    """Get and decode a response of the server at `uri`; None for an error code in `absent`. Raises FAILURES."""
    with client_of(seconds) as client:
        response = client.get(f"{uri.rstrip('/')}/api/2.0/{api}/{path}", params=dict(query))
    if response.status_code in _REFUSALS and msgspec.json.decode(response.content, type=_Refusal).error_code in absent:
        return None
    return msgspec.json.decode(response.raise_for_status().content, type=kind, strict=False)


def fetch(uri: str, paths: Mapping[str, str]) -> dict[str, bytes]:
    """Download artifacts through the server at `uri`: takes paths by key, returns contents by key. Raises FAILURES."""
    with client_of(_SECONDS) as client:
        root = f"{uri.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"
        responses = {key: client.get(f"{root}/{quote(path)}") for key, path in paths.items()}
    return {key: response.raise_for_status().content for key, response in responses.items()}


def outage(uri: str, error: Exception) -> UpstreamError:
    """UpstreamError for a failed request to MLflow, with the cause in one line."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UpstreamError(
        f"MLflow at {uri} does not answer as it should ({reason}): "
        f"{remedy(urlsplit(uri).hostname)}, or correct DEPOSIT_MLFLOW__TRACKING_URI"
    )


def client_of(seconds: float) -> httpx.Client:
    """HTTP client with MLflow's credentials; `seconds` is the timeout, which is shorter for connecting."""
    timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
    return httpx.Client(timeout=timeout, auth=_login(), verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """TLS context with the trusted authorities; cached, since loading it takes longer than most requests to MLflow."""
    return httpx.create_ssl_context()


def _login() -> httpx.Auth | None:
    """Credentials from MLflow's own environment variables, in the precedence of MLflow's client."""
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return httpx.BasicAuth(user, password)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return _Token(token) if token else None


class _Token(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
