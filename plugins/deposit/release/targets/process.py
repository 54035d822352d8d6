"""Target `process`: each replica is a program of supervisor, which restarts it and starts it after a reboot."""

import configparser
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
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
_FINAL_STATES = {"FATAL", "UNKNOWN", "STOPPED"}
"""States from which supervisor does not restart a program."""


class ProcessTarget:
    """Services as supervisor programs `serving-<release id>`, each on its own port; further replicas end in `-2`, `-3`.

    The programs of a release are in one file, so adding and removing them is atomic.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._replicas = range(1, settings.release.replicas + 1)
        self._supervisor = Supervisor(settings.release.supervisor_socket)
        state = settings.state
        self._root, self._bentos, self._programs, self._logs = state.root, state.serving, state.services, state.logs
        self._store_key = state.service_key
        for folder in (self._bentos, self._programs, self._logs):
            folder.mkdir(parents=True, exist_ok=True)

    def install(self, release: Release, archive: Path) -> None:
        """Unpack to a temporary folder and rename it, which is atomic. Raises ReleaseError if it is not a Bento."""
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=self._bentos))
        try:
            unpack(archive, fresh)
            if not self.installed(release):
                fresh.rename(self._folder(release))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def installed(self, release: Release) -> bool:
        """Whether the unpacked Bento exists."""
        return self._folder(release).is_dir()

    def parity(self, release: Release) -> dict[str, Any]:
        """Return the content of the model's `parity.json`. Raises ReleaseError if it is missing or broken."""
        candidates = sorted(self._folder(release).glob("models/*/*/parity.json"))
        try:
            content: dict[str, Any] = json.loads(candidates[0].read_text())
        except (IndexError, ValueError) as error:
            raise ReleaseError(f"{release.bento_tag} has no readable parity.json: package it again") from error
        return content

    def start(self, release: Release) -> tuple[str, ...]:
        """Write the program file and let supervisor start it; replicas with other settings are stopped first."""
        if self.started_with(release.id) != self.configuration(release):
            self.stop(release.id)
        if release.id not in self.running():
            self._write_store_key()
            for replica in self._replicas:
                replace_file(self._script_file(release.id, replica), self._script(release, replica).encode())
            replace_file(self._program_file(release.id), self._programs_of(release, self._free_ports()).encode())
        self._supervisor.call("reloadConfig")
        for name in self._names(release.id):
            self._supervisor.call("addProcessGroup", name, ignore=(Faults.ALREADY_ADDED,))
            self._supervisor.call("startProcess", f"{name}:{name}", False, ignore=(Faults.ALREADY_STARTED,))
        return self.running()[release.id]

    def client(self, address: str) -> httpx.Client:
        """Return a client for `host:port`."""
        return plain_client(address)

    def stop(self, release_id: int) -> None:
        """Remove the program file first, so that a reboot does not start the programs again, then the processes."""
        self._program_file(release_id).unlink(missing_ok=True)
        for file in self._programs.glob(f"{_PREFIX}*.sh"):
            if _release_of(file.stem) == release_id:
                file.unlink(missing_ok=True)
        self._supervisor.call("reloadConfig")
        # ask supervisor for the programs: a `stop` that was killed here has removed the file already
        for info in self._supervisor.call("getAllProcessInfo"):
            if _release_of(info["group"]) == release_id:
                self._supervisor.take_off(info["group"])

    def problem(self, release_id: int) -> str | None:
        """Return supervisor's reason if it has given up on one of the replicas."""
        for name in self._names(release_id):
            info = self._supervisor.call("getProcessInfo", f"{name}:{name}", ignore=(Faults.BAD_NAME,))
            if info and info["statename"] not in _FINAL_STATES:
                continue
            reason = (info["spawnerr"] or info["description"]) if info else "it does not know the program"
            return f"supervisor gave up on {name}: {reason}; see {self._logs / name}.log"
        return None

    def configuration(self, release: Release) -> str:
        """Return the digest of the scripts that start the replicas, and of their key to the object store."""
        secret = self._settings.release.store_secret_key
        secrets = {} if secret is None else {"store": secret.get_secret_value()}
        scripts = {str(replica): self._script(release, replica) for replica in self._replicas}
        return configuration_digest(release, scripts, secrets)

    def started_with(self, release_id: int) -> str | None:
        """Return the digest in the program file."""
        for program in self._written(release_id).values():
            return program.get("environment", "").partition("=")[2].strip('"') or None
        return None

    def running(self) -> dict[int, tuple[str, ...]]:
        """Return the addresses in the program files, which define what supervisor keeps running."""
        addresses = {}
        for path in self._programs.glob(f"{_PREFIX}*.conf"):
            release_id = int(path.stem.removeprefix(_PREFIX))
            ports = [each["command"].split("--port ")[1].split()[0] for each in self._written(release_id).values()]
            addresses[release_id] = tuple(f"127.0.0.1:{port}" for port in ports)
        return addresses

    def prune(self, keep: set[str]) -> None:
        """Remove the unpacked Bentos that no live or previous release needs."""
        for folder in self._bentos.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def abandon(self) -> None:
        """Do nothing: supervisor stops too, and its programs with it."""

    def _folder(self, release: Release) -> Path:
        return self._bentos / release.bento_sha256

    def _program_file(self, release_id: int) -> Path:
        return self._programs / f"{_PREFIX}{release_id}.conf"

    def _script_file(self, release_id: int, replica: int) -> Path:
        return self._programs / f"{_name(release_id, replica)}.sh"

    def _names(self, release_id: int) -> list[str]:
        return list(self._written(release_id)) or [_name(release_id, 1)]

    def _written(self, release_id: int) -> dict[str, Mapping[str, str]]:
        """Return the programs in the file of a release by name, ordered by replica; empty if there is no file."""
        parser = configparser.RawConfigParser()
        parser.read(self._program_file(release_id))
        return {section.removeprefix("program:"): parser[section] for section in parser.sections()}

    def _write_store_key(self) -> None:
        """Write the only secret of a service to a separate file, since program files and command lines are visible."""
        secret = self._settings.release.store_secret_key
        if secret is not None:
            replace_file(self._store_key, secret.get_secret_value().encode())

    def _script(self, release: Release, replica: int) -> str:
        folder = self._folder(release)
        # `env -i`: a service must not inherit supervisor's environment, which has the settings of other programs
        environment = {"PATH": "/usr/bin:/bin"} | bentoml_variables(folder)
        environment |= service_variables(self._settings, self._store_key, replica)
        words = [f"{name}={value}" for name, value in environment.items()]
        launch = [sys.executable, str(folder / "src" / "launch.py")]
        return script(["/usr/bin/env", "-i", *words, *launch], {}, folder)

    def _programs_of(self, release: Release, ports: Sequence[int]) -> str:
        replicas = zip(self._replicas, ports, strict=True)
        return "".join(self._program(release, replica, port) for replica, port in replicas)

    def _program(self, release: Release, replica: int, port: int) -> str:
        """Return the section of one replica. Paths are relative to supervisor's folder, so that none needs quoting."""
        name = _name(release.id, replica)
        lines = {
            "command": f"/bin/sh {self._programs.relative_to(self._root)}/{name}.sh --port {port}",
            # keeps the digest for `started_with`; the service does not see it, since its script sets the environment
            "environment": f'{_CONFIGURATION}="{self.configuration(release)}"',
            "autostart": "true", "autorestart": "true", "startsecs": "1", "startretries": "3",
            "stopsignal": "TERM", "stopwaitsecs": "40", "stopasgroup": "true", "killasgroup": "true",
            "redirect_stderr": "true", "stdout_logfile": f"{self._logs.relative_to(self._root)}/{name}.log",
            "stdout_logfile_maxbytes": "10MB", "stdout_logfile_backups": "2",
        }  # fmt: skip
        return "".join([f"[program:{name}]\n", *(f"{key}={value}\n" for key, value in lines.items())])

    def _free_ports(self) -> list[int]:
        first, wanted = self._settings.release.first_port, len(self._replicas)
        taken = {address.rpartition(":")[2] for addresses in self.running().values() for address in addresses}
        free = [port for port in range(first, first + _PORTS) if str(port) not in taken and _is_free(port)][:wanted]
        if len(free) < wanted:
            raise ReleaseError(
                f"only {len(free)} of the ports {first} to {first + _PORTS - 1} are free, and {wanted} are needed: "
                "change DEPOSIT_RELEASE__FIRST_PORT"
            )
        return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _name(release_id: int, replica: int) -> str:
    return f"{_PREFIX}{release_id}" if replica == 1 else f"{_PREFIX}{release_id}-{replica}"


def _release_of(name: str) -> int | None:
    """Return the release of a program by its name; None for a program that is not a service."""
    number = name.removeprefix(_PREFIX).partition("-")[0]
    return int(number) if name.startswith(_PREFIX) and number.isdecimal() else None
