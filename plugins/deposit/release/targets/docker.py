"""Target `docker`: services as containers, and the translation of the Docker engine's errors."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import requests
from docker.client import DockerClient, from_env
from docker.errors import APIError, BuildError, DockerException, NotFound
from docker.models.containers import Container

from deposit.errors import ReleaseError, UpstreamError
from deposit.release.checks import plain_client
from deposit.release.repository import Release
from deposit.release.targets.container import CONFIGURATION, PROJECT, RELEASE, Plan, addresses_of
from deposit.release.targets.image import BENTO, build_context, read_parity
from deposit.settings import Settings

_TIMEOUT_SECONDS = 120
_MAX_CHARACTERS = 300
"""Maximum number of characters of the engine's message to include in ours."""


@contextmanager
def engine() -> Iterator[DockerClient]:
    """Yield a client. Raises ReleaseError if the engine rejects a request, UpstreamError if it is unavailable."""
    try:
        client = from_env(timeout=_TIMEOUT_SECONDS)
        try:
            yield client
        finally:
            client.close()
    except NotFound as error:
        raise ReleaseError(f"a resource is missing in Docker ({_message(error)}): run `make up`") from error
    except BuildError as error:
        raise ReleaseError(f"the service's image cannot be built: {str(error)[:_MAX_CHARACTERS]}") from error
    except APIError as error:
        if error.is_server_error():
            raise UpstreamError(f"the Docker engine failed: {_message(error)}") from error
        raise ReleaseError(f"the Docker engine refused: {_message(error)}") from error
    except (DockerException, requests.RequestException) as error:
        raise UpstreamError(f"the Docker engine does not answer ({error}): start it") from error


def look_up(collection: Any, name: str) -> Any:
    """Return an image, container, network or volume by its name; None if it does not exist."""
    try:
        return collection.get(name)
    except NotFound:
        return None


def require(collection: Any, kind: str, name: str) -> Any:
    """Return as `look_up` does. Raises ReleaseError if it does not exist."""
    resource = look_up(collection, name)
    if resource is None:
        raise ReleaseError(f"the {kind} {name} is gone from the Docker engine: run `make up`, which makes it anew")
    return resource


def _message(error: APIError) -> str:
    return " ".join(str(error.explanation).split())[:_MAX_CHARACTERS]


_SHA256, _BASE = "deposit.bento.sha256", "deposit.base"
_DRAIN_SECONDS = 40
_MAX_RESTARTS, _SHORT_LIFE_SECONDS = 3, 10.0
"""A service is in a crash loop after so many restarts, if it last ended so soon after its start."""


class DockerTarget:
    """Services as containers `<project>-serving-<release id>`; the names of further replicas end in `-2`, `-3`.

    The engine restarts them, also after a reboot.
    """

    def __init__(self, settings: Settings) -> None:
        self._plan = Plan(settings)
        self._base = settings.release.base_image

    def install(self, release: Release, archive: Path) -> None:
        """Build the image, in seconds and without network.

        Raises ReleaseError if the base image does not exist or the archive is not a Bento.
        """
        with build_context(archive, self._base) as folder, engine() as client:
            base = require(client.images, "base image", self._base)
            client.images.build(
                path=str(folder),
                tag=self._plan.image(release),
                labels={
                    _SHA256: release.bento_sha256,
                    _BASE: base.id,
                    PROJECT: self._plan.project,
                    "org.opencontainers.image.title": f"deposit: {release.model_id}",
                    "org.opencontainers.image.version": release.bento_tag,
                },
                pull=False,
                network_mode="none",
                rm=True,
                forcerm=True,
            )

    def installed(self, release: Release) -> bool:
        """Whether the image exists on the current base image; a new base is used from the next start on."""
        with engine() as client:
            image = look_up(client.images, self._plan.image(release))
            if image is None or image.labels.get(_SHA256) != release.bento_sha256:
                return False
            base = look_up(client.images, self._base)
            # without a base image no newer image can be built, so the existing one is used
            return base is None or bool(image.labels.get(_BASE) == base.id)

    def parity(self, release: Release) -> dict[str, Any]:
        """Return the content of the model's `parity.json`. Raises ReleaseError if it is missing or broken."""
        with engine() as client:
            container = look_up(client.containers, self._plan.name(release.id, 1))
            if container is None:
                raise ReleaseError(f"{self._plan.name(release.id, 1)} was removed while it was tested: release again")
            stream, _ = container.get_archive(f"{BENTO}/models")
            packed = b"".join(stream)
        with tarfile.open(fileobj=io.BytesIO(packed)) as models:
            return read_parity(models, release.bento_tag)

    def start(self, release: Release) -> tuple[str, ...]:
        """Keep containers that run and are in their networks; replace all others.

        Raises ReleaseError naming the image, network or volume that does not exist.
        """
        with engine() as client:
            for replica in self._plan.replicas:
                container = look_up(client.containers, self._plan.name(release.id, replica))
                if container is not None and (self._is_disconnected(container) or _has_failed(container.attrs)):
                    container.remove(force=True)
                    container = None
                if container is None:
                    container = self._create(client, release, replica)
                container.start()
            return addresses_of(self._services(client, release.id))

    def client(self, address: str) -> httpx.Client:
        """Return a client for `host:port`."""
        return plain_client(address)

    def stop(self, release_id: int) -> None:
        """Let the services finish requests in flight, then remove their containers."""
        with engine() as client:
            for container in self._services(client, release_id):
                with suppress(NotFound):
                    _end(container)

    def problem(self, release_id: int) -> str | None:
        """Return why a service will not become ready: removed, not in its networks, or in a crash loop."""
        with engine() as client:
            for name in self._plan.names(release_id, look_up(client.containers, self._plan.name(release_id, 1))):
                if reason := self._reason(name, look_up(client.containers, name)):
                    return reason
        return None

    def configuration(self, release: Release) -> str:
        """Return the digest of environment, limits, and the services' key to the object store."""
        return self._plan.configuration(release)

    def started_with(self, release_id: int) -> str | None:
        """Return the digest in the label of the first replica."""
        with engine() as client:
            container = look_up(client.containers, self._plan.name(release_id, 1))
            return None if container is None else container.labels.get(CONFIGURATION)

    def running(self) -> dict[int, tuple[str, ...]]:
        """Return the addresses of existing containers, which the engine keeps running."""
        by_release: dict[int, list[Container]] = {}
        with engine() as client:
            for container in _services(client, self._plan.project):
                by_release.setdefault(int(container.labels[RELEASE]), []).append(container)
        return {release_id: addresses_of(containers) for release_id, containers in by_release.items()}

    def prune(self, keep: set[str]) -> None:
        """Remove the images that no live or previous release needs."""
        with engine() as client:
            for image in client.images.list(filters={"label": [f"{PROJECT}={self._plan.project}", _SHA256]}):
                if image.labels[_SHA256] not in keep:
                    with suppress(APIError):  # an image still used by a container is removed the next time
                        client.images.remove(image.id)

    def abandon(self) -> None:
        """Remove the containers: they would keep networks and volumes in use that are about to be removed."""
        clear(self._plan.project)

    def _create(self, client: DockerClient, release: Release, replica: int) -> Container:
        for name in self._plan.networks:
            require(client.networks, "network", name)
        for name in self._plan.volumes:
            # otherwise the engine creates an empty volume, which Compose does not recognize as its own
            require(client.volumes, "volume", name)
        image = require(client.images, "image of the service", self._plan.image(release))
        arguments = self._plan.arguments(release, replica, client.api._version)  # noqa: SLF001
        container: Container = client.containers.create(image, **arguments)
        return container

    def _services(self, client: DockerClient, release_id: int) -> list[Container]:
        return [each for each in _services(client, self._plan.project) if each.labels[RELEASE] == str(release_id)]

    def _reason(self, name: str, container: Container | None) -> str | None:
        if container is None:
            return f"there is no container {name}"
        if self._is_disconnected(container):
            return f"{name} is not in its networks {', '.join(self._plan.networks)}"
        if not _has_failed(container.attrs):
            return None
        log = container.logs(tail=5).decode(errors="replace").strip().splitlines()
        return f"{name} ends: {log[-1] if log else 'its log is empty'}; see `docker logs {name}`"

    def _is_disconnected(self, container: Container) -> bool:
        return not set(self._plan.networks) <= container.attrs["NetworkSettings"]["Networks"].keys()


def clear(project: str) -> None:
    """Stop and remove the containers of all services of a compose project."""
    with engine() as client:
        for container in _services(client, project):
            with suppress(NotFound):
                _end(container)


def _services(client: DockerClient, project: str) -> list[Container]:
    labels = [f"{PROJECT}={project}", RELEASE]
    containers: list[Container] = client.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
    return containers


def _end(container: Container) -> None:
    container.stop(timeout=_DRAIN_SECONDS)
    container.remove(force=True)


def _has_failed(attributes: dict[str, Any]) -> bool:
    state = attributes["State"]
    # the engine does not start a container that was created but never started
    if state["Status"] in ("created", "exited", "dead"):
        return True
    if attributes["RestartCount"] < _MAX_RESTARTS or (state["Running"] and not state["Restarting"]):
        return False
    started, finished = (datetime.fromisoformat(state[name][:19]) for name in ("StartedAt", "FinishedAt"))
    return (finished - started).total_seconds() < _SHORT_LIFE_SECONDS
