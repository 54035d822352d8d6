"""`POST /rank` of a million rows: throughput, time to the first byte, and peak memory."""

import http.client
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.processes import cpu_seconds, memory, peak, reset_peak

_BLOCK = 2**20
_SECONDS = 300


class Ranked(NamedTuple):
    """Measurements of one ranking: seconds to the first and last byte of the response, resident memory in MiB."""

    rows: int
    first: float
    seconds: float
    cpu: float
    before: float
    peak: float
    received: int


def rank(port: int, key: Path, table: Path, rows: int, process: psutil.Process) -> Ranked:
    """Upload the table in a form and read the ranked list as CSV. Raises ValueError if the response is incomplete."""
    before, cpu = memory(process).rss, cpu_seconds(process)
    reset_peak(process)
    begun = time.perf_counter()
    lines, received, first = _send(port, key, table, begun)
    seconds = time.perf_counter() - begun
    if lines != rows + 1:
        raise ValueError(f"POST /rank of {rows} rows returned {lines} lines")
    return Ranked(rows, first, seconds, cpu_seconds(process) - cpu, before, peak(process), received)


def _send(port: int, key: Path, table: Path, begun: float) -> tuple[int, int, float]:
    boundary = secrets.token_hex(16)
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="customers.csv"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(start) + table.stat().st_size + len(end)),
        "Accept": "text/csv",
        "Authorization": f"Bearer {key.read_text()}",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("POST", "/rank", _parts(start, table, end), headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise ValueError(f"POST /rank returned status {response.status}: {response.read(500)!r}")
        lines = received = 0
        first = 0.0
        while block := response.read1(_BLOCK):
            first = first or time.perf_counter() - begun
            lines += block.count(b"\n")
            received += len(block)
        return lines, received, first
    finally:
        connection.close()


def _parts(start: bytes, table: Path, end: bytes) -> Iterator[bytes]:
    yield start
    with table.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
    yield end
