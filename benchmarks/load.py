"""The load generator: wrk with 8 or 64 connections, each of which sends one request after the other."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("post.lua")
WARM_UP_SECONDS = 1


class Load(NamedTuple):
    """A load on a server: customers per request, and concurrent connections."""

    rows: int
    connections: int


class Result(NamedTuple):
    """Measurements of wrk; latencies in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p95: float
    p99: float


def require() -> str:
    """Return the path of wrk; exits with a message if it is not installed."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("error: wrk is not installed: apt-get install wrk (or your system's package of that name)")
    return program


def run(load: Load, port: int, bodies: Path, key: Path | None, seconds: int, cores: frozenset[int]) -> Result:
    """Send requests for `seconds` from these cores. Raises CalledProcessError."""
    command = [
        "taskset", "--cpu-list", ",".join(map(str, sorted(cores))),
        require(), "--threads", "1", "--connections", str(load.connections), "--duration", f"{seconds}s",
        "--timeout", "30s", "--latency", "--script", str(SCRIPT), f"http://127.0.0.1:{port}/predict",
        "--", str(bodies), str(key or ""),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Result(**json.loads(done.stdout.strip().splitlines()[-1]))
