"""The Docker engine: its client, and what it refuses or no longer has as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from docker.client import DockerClient, from_env
from docker.errors import APIError, BuildError, DockerException, NotFound

from deposit.errors import ReleaseError, UpstreamError

_PATIENCE_SECONDS = 120
_LONGEST = 300
"""Characters of the engine's own words that a message takes over."""


@contextmanager
def engine() -> Iterator[DockerClient]:
    """A client. Raises ReleaseError for what the engine refuses or has lost, UpstreamError if it does not answer."""
    try:
        client = from_env(timeout=_PATIENCE_SECONDS)
        try:
            yield client
        finally:
            client.close()
    except NotFound as error:
        raise ReleaseError(f"the Docker engine has lost something ({_words(error)}): run `make up`") from error
    except BuildError as error:
        raise ReleaseError(f"the service's image cannot be built: {str(error)[:_LONGEST]}") from error
    except APIError as error:
        if error.is_server_error():
            raise UpstreamError(f"the Docker engine failed: {_words(error)}") from error
        raise ReleaseError(f"the Docker engine refused: {_words(error)}") from error
    except (DockerException, requests.RequestException) as error:
        raise UpstreamError(f"the Docker engine does not answer ({error}): start it") from error


def look_up(collection: Any, name: str) -> Any:
    """One of the engine's images, containers, networks or volumes; None if it is gone."""
    try:
        return collection.get(name)
    except NotFound:
        return None


def require(collection: Any, kind: str, name: str) -> Any:
    """As `look_up`. Raises ReleaseError, which names the thing and the way back, if it is gone."""
    thing = look_up(collection, name)
    if thing is None:
        raise ReleaseError(f"the {kind} {name} is gone from the Docker engine: run `make up`, which makes it anew")
    return thing


def _words(error: APIError) -> str:
    return " ".join(str(error.explanation).split())[:_LONGEST]
