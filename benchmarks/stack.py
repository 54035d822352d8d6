"""The whole stack without Docker, with nothing to do: what stands around the service, and the gateway before it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg

from benchmarks.processes import peak
from deposit.deploy.layout import Layout
from deposit.release.gateway import Gateway
from deposit.release.targets.supervisor import Supervisor
from deposit.sections import StackSettings
from deposit.settings import Settings

_LOOK_SECONDS = 0.02
_COMMAND = str(Path(sys.executable).with_name("deposit"))


class CommandCost(NamedTuple):
    """What a command took, its start and its imports included: seconds, processor time, largest resident MiB."""

    seconds: float
    cpu: float
    peak: float


class Stack:
    """A stack that runs: `gateway` is Caddy's process."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.settings = settings
        self.environment = environment
        self.port = settings.stack.gateway_port
        parts = json.loads(self.run("status", "--json"))
        self.gateway = psutil.Process(next(part["pid"] for part in parts if part["name"] == "gateway"))

    def lead_to(self, port: int) -> None:
        """Have the gateway send requests to a service on this port."""
        Gateway(self.settings).point_to((f"127.0.0.1:{port}",))

    def run(self, *words: str) -> str:
        """What `deposit` prints for these words."""
        return _run([_COMMAND, *words], self.environment)

    def cost(self, *words: str) -> CommandCost:
        """Run `deposit` with these words once more."""
        with tempfile.TemporaryFile() as output:
            begun = time.perf_counter()
            process = psutil.Popen([_COMMAND, *words], env=self.environment, stdout=output, stderr=output)
            highest, ended = 0.0, 0
            while not ended:
                # the largest size that `wait4` tells is at least that of the process which began it
                with suppress(StopIteration):  # it has just ended
                    highest = max(highest, peak(process))
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                time.sleep(_LOOK_SECONDS)
            seconds = time.perf_counter() - begun
            if os.waitstatus_to_exitcode(status):
                output.seek(0)
                raise SystemExit(f"error: deposit {' '.join(words)} failed: {output.read().decode()[-2000:]}")
        return CommandCost(seconds, used.ru_utime + used.ru_stime, highest)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to its database, as the owner, that commits each statement."""
        line = next(line for line in self.run("env").splitlines() if line.startswith("DEPOSIT_DATABASE__URL="))
        return psycopg.connect(line.partition("=")[2].replace("+psycopg", ""), autocommit=True)


@contextmanager
def stack(folder: Path, ports: Sequence[int]) -> Iterator[Stack]:
    """A stack in a folder of its own, for as long as the block lasts, on 17 ports, without a Grafana."""
    names = [name for name in StackSettings.model_fields if name not in ("internal_port", "grafana_port", "grafana")]
    chosen = StackSettings(**dict(zip(names, ports, strict=False)), internal_port=ports[len(names)], grafana="off")
    settings = Settings(state_dir=folder / "stack", stack=chosen)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"DEPOSIT_STATE_DIR": str(settings.state_dir)}
    environment |= {f"DEPOSIT_STACK__{name}".upper(): str(port) for name, port in chosen.model_dump().items()}
    try:
        _run([_COMMAND, "up"], environment)
        # it would lead the gateway back to what was released, which is nothing
        Supervisor(Layout(settings.state.root).supervisor_socket).call("stopProcess", "releaser")
        yield Stack(settings, environment)
    finally:
        _run([_COMMAND, "down"], environment)


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed: {done.stderr[-2000:]}")
    return done.stdout
