"""The Docker engine: its client, and what it refuses or no longer has as errors of ours."""

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


_SHA256, _BASE = "deposit.bento.sha256", "deposit.base"
_DRAIN_SECONDS = 40
_RESTARTS, _SHORT_LIFE_SECONDS = 3, 10.0
"""A service that ended so often, the last time so soon after its start, will not come up by itself."""


class DockerTarget:
    """Services as containers `<project>-serving-<release id>`, further replicas with `-2`, `-3` behind.

    The engine restarts them, after a reboot too.
    """

    def __init__(self, settings: Settings) -> None:
        self._plan = Plan(settings)
        self._base = settings.release.base_image

    def install(self, release: Release, archive: Path) -> None:
        """Build the image: seconds, without network. Raises ReleaseError without a base, or if it is no Bento."""
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
        """Whether the image is there, on the base of today: a new base reaches the services with their next start."""
        with engine() as client:
            image = look_up(client.images, self._plan.image(release))
            if image is None or image.labels.get(_SHA256) != release.bento_sha256:
                return False
            base = look_up(client.images, self._base)
            # without a base nothing newer can be built, and what is there serves
            return base is None or bool(image.labels.get(_BASE) == base.id)

    def parity(self, release: Release) -> dict[str, Any]:
        """The rows and probabilities in the baked-in model. Raises ReleaseError if they are missing or broken."""
        with engine() as client:
            container = look_up(client.containers, self._plan.name(release.id, 1))
            if container is None:
                raise ReleaseError(f"{self._plan.name(release.id, 1)} was removed while it was tested: release again")
            stream, _ = container.get_archive(f"{BENTO}/models")
            packed = b"".join(stream)
        with tarfile.open(fileobj=io.BytesIO(packed)) as models:
            return read_parity(models, release.bento_tag)

    def start(self, release: Release) -> tuple[str, ...]:
        """Leave containers that run and can be reached; put new ones in the place of any other.

        Raises ReleaseError naming the image, network or volume that is gone.
        """
        with engine() as client:
            for replica in self._plan.replicas:
                container = look_up(client.containers, self._plan.name(release.id, replica))
                if container is not None and (self._cut_off(container) or _hopeless(container.attrs)):
                    container.remove(force=True)
                    container = None
                if container is None:
                    container = self._create(client, release, replica)
                container.start()
            return addresses_of(self._services(client, release.id))

    def client(self, address: str) -> httpx.Client:
        """Of `host:port`."""
        return plain_client(address)

    def stop(self, release_id: int) -> None:
        """Let the services finish what is in flight, then remove their containers."""
        with engine() as client:
            for container in self._services(client, release_id):
                with suppress(NotFound):
                    _end(container)

    def problem(self, release_id: int) -> str | None:
        """Why a service will not answer by itself: gone, cut off, or ended for good, with the end of its log."""
        with engine() as client:
            for name in self._plan.names(release_id, look_up(client.containers, self._plan.name(release_id, 1))):
                if reason := self._reason(name, look_up(client.containers, name)):
                    return reason
        return None

    def configuration(self, release: Release) -> str:
        """Of its container's environment and limits, and of its key to the object store."""
        return self._plan.configuration(release)

    def started_with(self, release_id: int) -> str | None:
        """From the first replica's label."""
        with engine() as client:
            container = look_up(client.containers, self._plan.name(release_id, 1))
            return None if container is None else container.labels.get(CONFIGURATION)

    def running(self) -> dict[int, tuple[str, ...]]:
        """From the containers that are there, which the engine has to keep running."""
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
                    with suppress(APIError):  # one that a container still uses goes the next time
                        client.images.remove(image.id)

    def abandon(self) -> None:
        """Remove the containers: they would hold networks and volumes that are about to be removed."""
        clear(self._plan.project)

    def _create(self, client: DockerClient, release: Release, replica: int) -> Container:
        for name in self._plan.networks:
            require(client.networks, "network", name)
        for name in self._plan.volumes:
            # the engine would make an empty one, that compose then does not take for its own
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
        if self._cut_off(container):
            return f"{name} is not in its networks {', '.join(self._plan.networks)}"
        if not _hopeless(container.attrs):
            return None
        log = container.logs(tail=5).decode(errors="replace").strip().splitlines()
        return f"{name} ends: {log[-1] if log else 'it says nothing'}; see `docker logs {name}`"

    def _cut_off(self, container: Container) -> bool:
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


def _hopeless(attributes: dict[str, Any]) -> bool:
    state = attributes["State"]
    # one that was made and not started is not the engine's to start
    if state["Status"] in ("created", "exited", "dead"):
        return True
    if attributes["RestartCount"] < _RESTARTS or (state["Running"] and not state["Restarting"]):
        return False
    started, finished = (datetime.fromisoformat(state[name][:19]) for name in ("StartedAt", "FinishedAt"))
    return (finished - started).total_seconds() < _SHORT_LIFE_SECONDS
