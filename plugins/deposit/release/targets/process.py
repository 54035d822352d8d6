"""Target `process`: each service is a program of supervisor, which restarts it and brings it up after a reboot."""

import configparser
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from deposit.errors import ReleaseError
from deposit.files import replace_file
from deposit.release.checks import plain_client
from deposit.release.repository import Release
from deposit.release.targets.environment import bentoml_variables, configuration_digest, script, service_variables
from deposit.release.targets.image import unpack
from deposit.release.targets.supervisor import Faults, Supervisor
from deposit.settings import Settings

_PREFIX = "serving-"
_PORTS = 50
_CONFIGURATION = "CONFIGURATION_SHA256"
_HOPELESS = {"FATAL", "UNKNOWN", "STOPPED"}
"""States that supervisor does not leave by itself."""


class ProcessTarget:
    """Services as supervisor programs `serving-<release id>` on ports of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._supervisor = Supervisor(settings.release.supervisor_socket)
        state = settings.state
        self._root, self._bentos, self._programs, self._logs = state.root, state.serving, state.services, state.logs
        self._store_key = state.service_key
        for folder in (self._bentos, self._programs, self._logs):
            folder.mkdir(parents=True, exist_ok=True)

    def install(self, release: Release, archive: Path) -> None:
        """Unpack beside and rename: a crash leaves no half Bento. Raises ReleaseError if it is not an archive."""
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=self._bentos))
        try:
            unpack(archive, fresh)
            if not self.installed(release):
                fresh.rename(self._folder(release))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def installed(self, release: Release) -> bool:
        """Whether the unpacked Bento is there."""
        return self._folder(release).is_dir()

    def parity(self, release: Release) -> dict[str, Any]:
        """The rows and probabilities in the baked-in model. Raises ReleaseError if they are missing or broken."""
        found = sorted(self._folder(release).glob("models/*/*/parity.json"))
        try:
            content: dict[str, Any] = json.loads(found[0].read_text())
        except (IndexError, ValueError) as error:
            raise ReleaseError(f"{release.bento_tag} has no readable parity.json: package it again") from error
        return content

    def start(self, release: Release) -> str:
        """Write the program's file and have supervisor start it; one that was written for other settings goes."""
        if self.started_with(release.id) != self.configuration(release):
            self.stop(release.id)
        address = self.running().get(release.id)
        if address is None:
            port = self._free_port()
            address = f"127.0.0.1:{port}"
            self._write_store_key()
            path = self._program_file(release.id)
            replace_file(path.with_suffix(".sh"), self._script(release).encode())
            replace_file(path, self._program(release, port).encode())
        self._add(f"{_PREFIX}{release.id}")
        return address

    def client(self, address: str) -> httpx.Client:
        """Of `host:port`."""
        return plain_client(address)

    def stop(self, release_id: int) -> None:
        """Remove the program's file first, so that no reboot brings it back, then the process."""
        path = self._program_file(release_id)
        for file in (path, path.with_suffix(".sh")):
            file.unlink(missing_ok=True)
        group = f"{_PREFIX}{release_id}"
        self._supervisor.call("reloadConfig")
        self._supervisor.call("stopProcessGroup", group, ignore=Faults.BAD_NAME)
        self._supervisor.call("removeProcessGroup", group, ignore=Faults.BAD_NAME)

    def problem(self, release_id: int) -> str | None:
        """Supervisor's own words when it has given up."""
        name = f"{_PREFIX}{release_id}"
        info = self._supervisor.call("getProcessInfo", f"{name}:{name}", ignore=Faults.BAD_NAME)
        if info and info["statename"] not in _HOPELESS:
            return None
        reason = (info["spawnerr"] or info["description"]) if info else "it does not know the program"
        return f"supervisor gave up on {name}: {reason}; see {self._logs / name}.log"

    def configuration(self, release: Release) -> str:
        """Of the script that starts the service, and of its key to the object store."""
        secret = self._settings.release.store_secret_key
        secrets = {} if secret is None else {"store": secret.get_secret_value()}
        return configuration_digest(release, {"script": self._script(release)}, secrets)

    def started_with(self, release_id: int) -> str | None:
        """From the program's file."""
        path = self._program_file(release_id)
        return _written(path).get("environment", "").partition("=")[2].strip('"') or None if path.exists() else None

    def running(self) -> dict[int, str]:
        """From the program files, which say what supervisor has to keep running."""
        found = {}
        for path in self._programs.glob(f"{_PREFIX}*.conf"):
            port = _written(path)["command"].split("--port ")[1].split()[0]
            found[int(path.stem.removeprefix(_PREFIX))] = f"127.0.0.1:{port}"
        return found

    def prune(self, keep: set[str]) -> None:
        """Remove the unpacked Bentos that no live or previous release needs."""
        for folder in self._bentos.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def abandon(self) -> None:
        """Nothing: supervisor, which is ending too, stops its programs."""

    def _folder(self, release: Release) -> Path:
        return self._bentos / release.bento_sha256

    def _program_file(self, release_id: int) -> Path:
        return self._programs / f"{_PREFIX}{release_id}.conf"

    def _write_store_key(self) -> None:
        """The one secret of a service: in a file of its own, since supervisor's files and command lines are shown."""
        secret = self._settings.release.store_secret_key
        if secret is not None:
            replace_file(self._store_key, secret.get_secret_value().encode())

    def _script(self, release: Release) -> str:
        folder = self._folder(release)
        # supervisor's own environment holds what its other programs need; a service gets what is its own
        environment = {"PATH": "/usr/bin:/bin"} | bentoml_variables(folder)
        environment |= service_variables(self._settings, self._store_key)
        words = [f"{name}={value}" for name, value in environment.items()]
        launch = [sys.executable, str(folder / "src" / "launch.py")]
        return script(["/usr/bin/env", "-i", *words, *launch], {}, folder)

    def _program(self, release: Release, port: int) -> str:
        """All paths are below the folder that supervisor works in: none of its own path is quoted here."""
        name = f"{_PREFIX}{release.id}"
        lines = {
            "command": f"/bin/sh {self._programs.relative_to(self._root)}/{name}.sh --port {port}",
            # not the service's, whose environment is empty but for what its script gives
            "environment": f'{_CONFIGURATION}="{self.configuration(release)}"',
            "autostart": "true", "autorestart": "true", "startsecs": "1", "startretries": "3",
            "stopsignal": "TERM", "stopwaitsecs": "40", "stopasgroup": "true", "killasgroup": "true",
            "redirect_stderr": "true", "stdout_logfile": f"{self._logs.relative_to(self._root)}/{name}.log",
            "stdout_logfile_maxbytes": "10MB", "stdout_logfile_backups": "2",
        }  # fmt: skip
        return "".join([f"[program:{name}]\n", *(f"{key}={value}\n" for key, value in lines.items())])

    def _free_port(self) -> int:
        first = self._settings.release.first_port
        taken = {int(address.rpartition(":")[2]) for address in self.running().values()}
        for port in range(first, first + _PORTS):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                    return port
        raise ReleaseError(f"no port from {first} to {first + _PORTS - 1} is free: set DEPOSIT_RELEASE__FIRST_PORT")

    def _add(self, group: str) -> None:
        self._supervisor.call("reloadConfig")
        self._supervisor.call("addProcessGroup", group, ignore=Faults.ALREADY_ADDED)
        self._supervisor.call("startProcess", f"{group}:{group}", False, ignore=Faults.ALREADY_STARTED)


def _written(path: Path) -> Mapping[str, str]:
    """The section of a program's file."""
    parser = configparser.RawConfigParser()
    parser.read_string(path.read_text())
    return parser[f"program:{path.stem}"]
