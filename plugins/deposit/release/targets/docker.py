"""Target `docker`: each service is a container, of an image that is the serving base and one Bento."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from docker.client import DockerClient, from_env
from docker.errors import APIError, BuildError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig, LogConfig

from deposit.errors import ReleaseError, UpstreamError
from deposit.release.rows import Release
from deposit.release.targets.environment import bentoml_variables, service_variables
from deposit.release.targets.image import BENTO, build_context
from deposit.settings import Settings

PORT = 8000
_RELEASE, _SHA256, _BASE = "deposit.release", "deposit.bento.sha256", "deposit.base"
_PROJECT = "com.docker.compose.project"
_SECRETS = Path("/run/deposit")
_NETWORKS = ("serving", "objects")
_PATIENCE_SECONDS = 120
_DRAIN_SECONDS = 40
_RESTARTS, _SHORT_LIFE_SECONDS = 3, 10.0
"""A service that ended so often, the last time so soon after its start, will not come up by itself."""


class DockerTarget:
    """Services as containers `<project>-serving-<release id>`, which the engine restarts, after a reboot too."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = settings.release
        self._project = settings.release.project

    def install(self, release: Release, archive: Path) -> None:
        """Build the image: seconds, without network. Raises ReleaseError if it is not a Bento archive."""
        with build_context(archive, self._rules.base_image) as folder, _engine() as engine:
            engine.images.build(
                path=str(folder),
                tag=self._image(release),
                labels={
                    _SHA256: release.bento_sha256,
                    _BASE: engine.images.get(self._rules.base_image).id,
                    _PROJECT: self._project,
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
        with _engine() as engine, suppress(NotFound):
            labels = engine.images.get(self._image(release)).labels
            base = engine.images.get(self._rules.base_image).id
            return bool((labels.get(_SHA256), labels.get(_BASE)) == (release.bento_sha256, base))
        return False

    def parity(self, release: Release) -> dict[str, Any]:
        """The rows and probabilities in the baked-in model. Raises ReleaseError if they are missing or broken."""
        with _engine() as engine:
            stream, _ = engine.containers.get(self._name(release.id)).get_archive(f"{BENTO}/models")
            packed = b"".join(stream)
        with tarfile.open(fileobj=io.BytesIO(packed)) as models:
            for member in models:
                file = models.extractfile(member) if member.name.endswith("/parity.json") else None
                with suppress(ValueError):
                    if file is not None:
                        content: dict[str, Any] = json.load(file)
                        return content
        raise ReleaseError(f"{release.bento_tag} has no readable parity.json: package it again")

    def start(self, release: Release) -> str:
        """Make the container unless it is there, and have the engine start it."""
        with _engine() as engine:
            try:
                container = engine.containers.get(self._name(release.id))
            except NotFound:
                container = self._create(engine, release)
            container.start()
        return self._address(release.id)

    def stop(self, release_id: int) -> None:
        """Let the service finish what is in flight, then remove its container."""
        with _engine() as engine, suppress(NotFound):
            container = engine.containers.get(self._name(release_id))
            container.stop(timeout=_DRAIN_SECONDS)
            container.remove(force=True)

    def problem(self, release_id: int) -> str | None:
        """The end of the log of a service that has ended for good, or ends again and again."""
        name = self._name(release_id)
        with _engine() as engine:
            try:
                container = engine.containers.get(name)
            except NotFound:
                return f"there is no container {name}"
            if not _hopeless(container.attrs):
                return None
            said = container.logs(tail=5).decode(errors="replace").strip().splitlines()
        return f"{name} ends: {said[-1] if said else 'it says nothing'}; see `docker logs {name}`"

    def running(self) -> dict[int, str]:
        """From the containers that are there, which the engine has to keep running."""
        with _engine() as engine:
            labels = [f"{_PROJECT}={self._project}", _RELEASE]
            found = engine.containers.list(all=True, filters={"label": labels})
            ids = [int(container.labels[_RELEASE]) for container in found]
        return {release_id: self._address(release_id) for release_id in ids}

    def prune(self, keep: set[str]) -> None:
        """Remove the images that no live or previous release needs."""
        with _engine() as engine:
            for image in engine.images.list(filters={"label": [f"{_PROJECT}={self._project}", _SHA256]}):
                if image.labels[_SHA256] not in keep:
                    with suppress(APIError):  # one that a container still uses goes the next time
                        engine.images.remove(image.id)

    def abandon(self) -> None:
        """Remove the containers: they would hold networks and volumes that are about to be removed."""
        for release_id in self.running():
            self.stop(release_id)

    def _create(self, engine: DockerClient, release: Release) -> Container:
        networks = [f"{self._project}_{name}" for name in _NETWORKS]
        return engine.containers.create(
            self._image(release),
            name=self._name(release.id),
            environment={
                **bentoml_variables(BENTO),
                **service_variables(self._settings, _SECRETS / "store_secret_key"),
            },
            labels={
                _RELEASE: str(release.id),
                _PROJECT: self._project,
                "com.docker.compose.service": "serving",
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.container-number": str(release.id),
            },
            volumes=self._volumes(),
            network=networks[0],
            networking_config={name: EndpointConfig(engine.api._version) for name in networks},  # noqa: SLF001
            read_only=True,
            tmpfs={"/tmp": "mode=1777,size=256m"},  # noqa: S108 - the container's own
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            mem_limit=self._rules.memory_limit,
            pids_limit=256,
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "3"}),
            restart_policy={"Name": "unless-stopped"},
        )

    def _volumes(self) -> dict[str, dict[str, str]]:
        """Where the parts share files, at the same places in every container; a service writes the spool alone."""
        settings = self._settings
        places = {"spool": (settings.spool_path.parent, "rw"), "catalog": (settings.catalog_path.parent, "ro")}
        if settings.serve.keys_file is not None:
            places["keys"] = (settings.serve.keys_file.parent, "ro")
        places["secrets-serving"] = (_SECRETS, "ro")
        return {f"{self._project}_{name}": {"bind": str(at), "mode": mode} for name, (at, mode) in places.items()}

    def _name(self, release_id: int) -> str:
        return f"{self._project}-serving-{release_id}"

    def _address(self, release_id: int) -> str:
        return f"{self._name(release_id)}:{PORT}"

    def _image(self, release: Release) -> str:
        return f"{self._project}-service:{release.bento_sha256[:12]}"


def _hopeless(attributes: dict[str, Any]) -> bool:
    state = attributes["State"]
    if state["Status"] in ("exited", "dead"):
        return True
    if attributes["RestartCount"] < _RESTARTS or (state["Running"] and not state["Restarting"]):
        return False
    started, finished = (datetime.fromisoformat(state[name][:19]) for name in ("StartedAt", "FinishedAt"))
    return (finished - started).total_seconds() < _SHORT_LIFE_SECONDS


@contextmanager
def _engine() -> Iterator[DockerClient]:
    """The Docker engine. Raises ReleaseError for what it refuses, UpstreamError if it does not answer."""
    try:
        client = from_env(timeout=_PATIENCE_SECONDS)
        try:
            yield client
        finally:
            client.close()
    except NotFound:
        raise  # for the caller, who knows what was looked for
    except BuildError as error:
        raise ReleaseError(f"the service's image cannot be built: {error}") from error
    except APIError as error:
        if error.is_server_error():
            raise UpstreamError(f"the Docker engine failed: {error.explanation}") from error
        raise ReleaseError(f"the Docker engine refused: {error.explanation}") from error
    except (DockerException, requests.RequestException) as error:
        raise UpstreamError(f"the Docker engine does not answer ({error}): start it") from error
