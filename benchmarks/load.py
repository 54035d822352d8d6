"""The load generator: wrk with 8 or 64 connections that send one request after the other."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("post.lua")
WARM_UP_SECONDS = 1


class Load(NamedTuple):
    """What was asked of a server: customers in a request, connections at the same time."""

    rows: int
    connections: int


class Result(NamedTuple):
    """What wrk saw; latencies in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p95: float
    p99: float


def require() -> str:
    """The path of wrk. Exits with a message where there is none."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("error: wrk is not installed: apt-get install wrk (or your system's package of that name)")
    return program


def run(load: Load, port: int, bodies: Path, key: Path | None, seconds: int, cores: frozenset[int]) -> Result:
    """Send for so many seconds from these cores. Raises CalledProcessError."""
    command = [
        "taskset", "--cpu-list", ",".join(map(str, sorted(cores))),
        require(), "--threads", "1", "--connections", str(load.connections), "--duration", f"{seconds}s",
        "--timeout", "30s", "--latency", "--script", str(SCRIPT), f"http://127.0.0.1:{port}/predict",
        "--", str(bodies), str(key or ""),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return Result(**json.loads(done.stdout.strip().splitlines()[-1]))
