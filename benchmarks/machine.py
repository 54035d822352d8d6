"""Description of the machine, as far as measurements depend on it: no names, no paths."""

import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.load import require

_PACKAGES = ("xgboost-cpu", "scikit-learn", "pandas", "flask", "waitress", "psycopg", "bentoml", "uvicorn", "msgspec")


def describe(folder: Path, postgres: str) -> dict[str, str]:
    """Describe the machine by subject; `folder` is on the disk that the peers log to."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {cores} cores usable",
        "memory": f"{memory:.0f} GiB",
        "disk": f"a 4 KiB write with fsync takes {_fsync(folder):.2f} ms (median of 200)",
        "load before": f"{os.getloadavg()[0]:.2f} (1 minute)",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}",
        "versions": ", ".join([*packages, f"PostgreSQL {postgres.split()[0]}", _wrk()]),
    }


def _processor() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return model[1] if model else platform.machine()


def _fsync(folder: Path) -> float:
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            begun = time.perf_counter()
            file.write(b"0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def _wrk() -> str:
    version = subprocess.run([require(), "--version"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"wrk (?:debian/)?([\w.]+)", version)
    return f"wrk {number[1]}" if number else "wrk"
