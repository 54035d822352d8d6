"""A service's container as it should be: names, labels, environment, networks, volumes and limits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docker.models.containers import Container
from docker.types import EndpointConfig, LogConfig

from deposit.release.repository import Release
from deposit.release.targets.environment import bentoml_variables, configuration_digest, service_variables
from deposit.release.targets.image import BENTO
from deposit.settings import Settings

PORT = 8000
RELEASE, REPLICA, REPLICAS = "deposit.release", "deposit.replica", "deposit.replicas"
"""Labels with the release's id, which of its replicas it is, and how many it has."""
_COMPOSE = "com.docker.compose"
PROJECT, CONFIGURATION = f"{_COMPOSE}.project", f"{_COMPOSE}.config-hash"
"""Labels that compose reads as well."""
_SECRETS = Path("/run/deposit")
_STORE_KEY = "serving_key_sha256"
"""The releaser may not see the services' own key, and learns by this file of its own that it is another one."""
_NETWORKS = ("serving", "objects")
_BEHIND = 1_000_000
"""Of a service's containers compose takes the one of the lowest number, as for `exec gateway` and `cp gateway:`."""


class Plan:
    """The containers of one compose project, by release and replica."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.project = settings.release.project
        self.networks = [f"{self.project}_{name}" for name in _NETWORKS]
        self.volumes = _volumes(
            self.project, settings.spool_path.parent, settings.catalog_path.parent, settings.serve.keys_file
        )

    @property
    def replicas(self) -> range:
        """Those that a release has, from 1."""
        return range(1, self._settings.release.replicas + 1)

    def name(self, release_id: int, replica: int) -> str:
        """Of a replica's container."""
        first = f"{self.project}-serving-{release_id}"
        return first if replica == 1 else f"{first}-{replica}"

    def names(self, release_id: int, first: Container | None) -> list[str]:
        """Of the containers that were made with this first replica, whatever the settings are by now."""
        count = 1 if first is None else int(first.labels.get(REPLICAS, 1))
        return [self.name(release_id, replica) for replica in range(1, count + 1)]

    def image(self, release: Release) -> str:
        """The name of a release's image."""
        return f"{self.project}-service:{release.bento_sha256[:12]}"

    def configuration(self, release: Release) -> str:
        """A digest of all that the containers of this release are to be started with by now."""
        key = _SECRETS / _STORE_KEY
        limits = {"memory": self._settings.release.memory_limit}
        # how many replicas there are is in the environment of each
        return configuration_digest(
            release, self._environment(1) | limits, {"store": key.read_text() if key.exists() else ""}
        )

    def arguments(self, release: Release, replica: int, api_version: str) -> dict[str, Any]:
        """What the engine is to make, but for the image."""
        return {
            "name": self.name(release.id, replica),
            "environment": self._environment(replica),
            "labels": self._labels(release, replica),
            "volumes": self.volumes,
            "network": self.networks[0],
            "networking_config": {name: EndpointConfig(api_version) for name in self.networks},
            # what is PID 1 without a handler yet ignores SIGTERM
            "init": True,
            "read_only": True,
            "tmpfs": {"/tmp": "mode=1777,size=256m"},  # noqa: S108 - the container's own
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": self._settings.release.memory_limit,
            "pids_limit": 256,
            "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "3"}),
            "restart_policy": {"Name": "unless-stopped"},
        }

    def _environment(self, replica: int) -> dict[str, str]:
        return bentoml_variables(BENTO) | service_variables(self._settings, _SECRETS / "store_secret_key", replica)

    def _labels(self, release: Release, replica: int) -> dict[str, str]:
        """As compose labels what `docker compose run` makes beside the gateway.

        `up` neither counts nor removes it; `down --remove-orphans` takes it away, before it stops the releaser. Labels
        by which plain `down` would take it away are those by which `up` would: compose keeps what it holds for its own
        at the number and configuration that the file says.
        """
        return {
            RELEASE: str(release.id),
            REPLICA: str(replica),
            REPLICAS: str(len(self.replicas)),
            PROJECT: self.project,
            CONFIGURATION: self.configuration(release),
            f"{_COMPOSE}.service": "gateway",
            f"{_COMPOSE}.oneoff": "True",
            f"{_COMPOSE}.container-number": str(_BEHIND * replica + release.id),
        }


def addresses_of(containers: Iterable[Container]) -> tuple[str, ...]:
    """Where a release's containers answer, in the project's networks, first replica first."""
    return tuple(
        f"{each.name}:{PORT}" for each in sorted(containers, key=lambda each: int(each.labels.get(REPLICA, 1)))
    )


def _volumes(project: str, spool: Path, catalog: Path, keys_file: Path | None) -> dict[str, dict[str, str]]:
    """Where the parts share files, at the same places in every container; a service writes the spool alone."""
    places = {"spool": (spool, "rw"), "catalog": (catalog, "ro")}
    if keys_file is not None:
        places["keys"] = (keys_file.parent, "ro")
    places["secrets-serving"] = (_SECRETS, "ro")
    return {f"{project}_{name}": {"bind": str(at), "mode": mode} for name, (at, mode) in places.items()}
