"""An idle stack without Docker, whose gateway and commands are measured."""

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

_POLL_SECONDS = 0.02
_COMMAND = str(Path(sys.executable).with_name("deposit"))


class CommandCost(NamedTuple):
    """Cost of a command, including start and imports: elapsed seconds, CPU seconds, peak resident memory in MiB."""

    seconds: float
    cpu: float
    peak: float


class Stack:
    """A running stack; `gateway` is the process of Caddy."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.settings = settings
        self.environment = environment
        self.port = settings.stack.gateway_port
        parts = json.loads(self.run("status", "--json"))
        self.gateway = psutil.Process(next(part["pid"] for part in parts if part["name"] == "gateway"))

    def route_to(self, port: int) -> None:
        """Make the gateway route requests to a service on this port."""
        Gateway(self.settings).point_to((f"127.0.0.1:{port}",))

    def run(self, *words: str) -> str:
        """Run `deposit` with these arguments and return its output."""
        return _run([_COMMAND, *words], self.environment)

    def cost(self, *words: str) -> CommandCost:
        """Run `deposit` with these arguments and measure its cost."""
        with tempfile.TemporaryFile() as output:
            begun = time.perf_counter()
            process = psutil.Popen([_COMMAND, *words], env=self.environment, stdout=output, stderr=output)
            highest, ended = 0.0, 0
            while not ended:
                # polled, because the peak that `wait4` reports is at least the size of the parent process
                with suppress(StopIteration):  # the process has just ended
                    highest = max(highest, peak(process))
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                time.sleep(_POLL_SECONDS)
            seconds = time.perf_counter() - begun
            if os.waitstatus_to_exitcode(status):
                output.seek(0)
                raise SystemExit(f"error: deposit {' '.join(words)} failed: {output.read().decode()[-2000:]}")
        return CommandCost(seconds, used.ru_utime + used.ru_stime, highest)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection to the stack's database as its owner, in autocommit mode."""
        line = next(line for line in self.run("env").splitlines() if line.startswith("DEPOSIT_DATABASE__URL="))
        return psycopg.connect(line.partition("=")[2].replace("+psycopg", ""), autocommit=True)


@contextmanager
def stack(folder: Path, ports: Sequence[int]) -> Iterator[Stack]:
    """Run a stack without Grafana in its own folder, on 17 ports, until the block ends."""
    names = [name for name in StackSettings.model_fields if name not in ("internal_port", "grafana_port", "grafana")]
    chosen = StackSettings(**dict(zip(names, ports, strict=False)), internal_port=ports[len(names)], grafana="off")
    settings = Settings(state_dir=folder / "stack", stack=chosen)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"DEPOSIT_STATE_DIR": str(settings.state_dir)}
    environment |= {f"DEPOSIT_STACK__{name}".upper(): str(port) for name, port in chosen.model_dump().items()}
    try:
        _run([_COMMAND, "up"], environment)
        # stopped, because it would reset the gateway to the released service, of which there is none
        Supervisor(Layout(settings.state.root).supervisor_socket).call("stopProcess", "releaser")
        yield Stack(settings, environment)
    finally:
        _run([_COMMAND, "down"], environment)


def _run(command: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed: {done.stderr[-2000:]}")
    return done.stdout
