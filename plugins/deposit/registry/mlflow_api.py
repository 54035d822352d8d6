"""MLflow's REST API, read without MLflow's library, whose import takes more than a second."""

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
"""MLflow's code of an error that says that a thing does not exist."""
FAILURES = (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError, UnicodeDecodeError)
"""What `ask` raises where MLflow does not answer as it should."""
_REFUSALS = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND)
_SECONDS, _CONNECT_SECONDS = 60.0, 5.0
_Answer = TypeVar("_Answer")


class Pair(msgspec.Struct, frozen=True):
    """A tag, as MLflow lists it."""

    key: str
    value: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error_code: str = ""


def by_key(tags: Sequence[Pair]) -> dict[str, str]:
    """Values of tags by their keys."""
    return {tag.key: tag.value for tag in tags}


def ask(
    uri: str,
    path: str,
    query: Mapping[str, str],
    kind: type[_Answer],
    absent: Set[str] = frozenset({ABSENT}),
    seconds: float = _SECONDS,
    api: str = "mlflow",
) -> _Answer | None:
    """What the server at `uri` answers; None if it refuses by a code of `absent`. Raises FAILURES."""
    with client_of(seconds) as client:
        answer = client.get(f"{uri.rstrip('/')}/api/2.0/{api}/{path}", params=dict(query))
    if answer.status_code in _REFUSALS and msgspec.json.decode(answer.content, type=_Refusal).error_code in absent:
        return None
    return msgspec.json.decode(answer.raise_for_status().content, type=kind, strict=False)


def fetch(uri: str, paths: Mapping[str, str]) -> dict[str, bytes]:
    """The content of artifacts that the server at `uri` hands out, by paths, under the same keys. Raises FAILURES."""
    with client_of(_SECONDS) as client:
        root = f"{uri.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts"
        answers = {key: client.get(f"{root}/{quote(path)}") for key, path in paths.items()}
    return {key: answer.raise_for_status().content for key, answer in answers.items()}


def outage(uri: str, error: Exception) -> UpstreamError:
    """What an error of MLflow's server means, in one sentence."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UpstreamError(
        f"MLflow at {uri} does not answer as it should ({reason}): "
        f"{remedy(urlsplit(uri).hostname)}, or correct DEPOSIT_MLFLOW__TRACKING_URI"
    )


def client_of(seconds: float) -> httpx.Client:
    """A client with MLflow's login, which waits so long for an answer and less for a connection."""
    timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
    return httpx.Client(timeout=timeout, auth=_login(), verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Whom HTTPS trusts; read once, since it takes longer than most of MLflow's answers."""
    return httpx.create_ssl_context()


def _login() -> httpx.Auth | None:
    """As MLflow's own client has it, from its own variables."""
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
