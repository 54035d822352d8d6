"""Definition of a service's containers: names, labels, environment, networks, volumes and limits."""

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
"""Labels with the id of the release, the number of this replica, and the number of replicas."""
_COMPOSE = "com.docker.compose"
PROJECT, CONFIGURATION = f"{_COMPOSE}.project", f"{_COMPOSE}.config-hash"
"""Labels that Docker Compose also reads."""
_SECRETS = Path("/run/deposit")
_STORE_KEY = "serving_key_sha256"
"""File with the hash of the services' key to the object store: the releaser cannot read the key, but sees it change."""
_NETWORKS = ("serving", "objects")
_NUMBER_OFFSET = 1_000_000
"""Keeps our container numbers above the gateway's own: `docker compose exec gateway` selects the lowest number."""


class Plan:
    """Names and arguments of the service containers of one Compose project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.project = settings.release.project
        self.networks = [f"{self.project}_{name}" for name in _NETWORKS]
        self.volumes = _volumes(
            self.project, settings.spool_path.parent, settings.catalog_path.parent, settings.serve.keys_file
        )

    @property
    def replicas(self) -> range:
        """Numbers of the replicas of a release, starting at 1."""
        return range(1, self._settings.release.replicas + 1)

    def name(self, release_id: int, replica: int) -> str:
        """Return the name of the container of a replica."""
        first = f"{self.project}-serving-{release_id}"
        return first if replica == 1 else f"{first}-{replica}"

    def names(self, release_id: int, first: Container | None) -> list[str]:
        """Return the names of all replicas created with this first one, even if the settings have changed since."""
        count = 1 if first is None else int(first.labels.get(REPLICAS, 1))
        return [self.name(release_id, replica) for replica in range(1, count + 1)]

    def image(self, release: Release) -> str:
        """Return the name of the image of a release."""
        return f"{self.project}-service:{release.bento_sha256[:12]}"

    def configuration(self, release: Release) -> str:
        """Return a digest of what the containers of this release would be started with now."""
        key = _SECRETS / _STORE_KEY
        limits = {"memory": self._settings.release.memory_limit}
        # one replica is enough: its environment includes the number of replicas
        return configuration_digest(
            release, self._environment(1) | limits, {"store": key.read_text() if key.exists() else ""}
        )

    def arguments(self, release: Release, replica: int, api_version: str) -> dict[str, Any]:
        """Return the arguments of `containers.create`, except the image."""
        return {
            "name": self.name(release.id, replica),
            "environment": self._environment(replica),
            "labels": self._labels(release, replica),
            "volumes": self.volumes,
            "network": self.networks[0],
            "networking_config": {name: EndpointConfig(api_version) for name in self.networks},
            # without an init process, PID 1 ignores SIGTERM until it has installed a handler
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
        """Labels like those of a one-off container, started by `docker compose run gateway`.

        So `up` neither counts nor removes it, and `down --remove-orphans` removes it before it stops the releaser. With
        labels by which plain `down` removes it, `up` would remove it too: Compose reconciles the containers that it
        considers its own with the number and configuration in the file.
        """
        return {
            RELEASE: str(release.id),
            REPLICA: str(replica),
            REPLICAS: str(len(self.replicas)),
            PROJECT: self.project,
            CONFIGURATION: self.configuration(release),
            f"{_COMPOSE}.service": "gateway",
            f"{_COMPOSE}.oneoff": "True",
            f"{_COMPOSE}.container-number": str(_NUMBER_OFFSET * replica + release.id),
        }


def addresses_of(containers: Iterable[Container]) -> tuple[str, ...]:
    """Return the addresses of containers in the networks of the project, ordered by replica."""
    return tuple(
        f"{each.name}:{PORT}" for each in sorted(containers, key=lambda each: int(each.labels.get(REPLICA, 1)))
    )


def _volumes(project: str, spool: Path, catalog: Path, keys_file: Path | None) -> dict[str, dict[str, str]]:
    """Volumes shared by the services of the stack, with the same path in each container. Only the spool is writable."""
    mounts = {"spool": (spool, "rw"), "catalog": (catalog, "ro")}
    if keys_file is not None:
        mounts["keys"] = (keys_file.parent, "ro")
    mounts["secrets-serving"] = (_SECRETS, "ro")
    return {f"{project}_{name}": {"bind": str(path), "mode": mode} for name, (path, mode) in mounts.items()}
