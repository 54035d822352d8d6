"""One round: all peers are started, checked, loaded in turn, and stopped."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import psutil

from benchmarks import load
from benchmarks.contestants import GATEWAY, SERVICE, Peer
from benchmarks.load import Load, Result
from benchmarks.materials import Materials
from benchmarks.processes import Cores, Memory, cpu_seconds, memory, running
from benchmarks.stack import Stack
from deposit.progress import Progress

START_SECONDS = 60
DRAIN_SECONDS = 180
TOLERANCE = 1e-6
LOADS = tuple(Load(rows, connections) for rows in (1, 100) for connections in (8, 64))


class WrongAnswerError(Exception):
    """A peer gives wrong responses or none; it is not timed."""


class Sample(NamedTuple):
    """One peer under one load.

    Args:
        server: CPU seconds of the peer's own processes.
        gateway: CPU seconds of the gateway, if the load went through it.
        beside: CPU seconds of the database and of the peer's auxiliary program, until everything is stored.
        drained: seconds from the end of the load until everything was stored.
    """

    result: Result
    server: float
    gateway: float
    beside: float
    drained: float


@dataclass
class Started:
    """A running peer; `cold` is seconds from start to first response, `gateway` the process that serves its port."""

    peer: Peer
    port: int
    process: psutil.Process
    helper: psutil.Process | None
    cold: float
    sent: int = 0
    gateway: psutil.Process | None = None


class Round(NamedTuple):
    """All measurements of one round, by letter; the service has a second letter for requests through the gateway."""

    cold: dict[str, float]
    memory: dict[str, Memory]
    samples: dict[tuple[str, Load], Sample]


@dataclass(frozen=True)
class Bench:
    """Configuration of the measurement; `ports` has one port per peer."""

    materials: Materials
    postgres: psutil.Process
    cores: Cores
    ports: range
    seconds: int
    progress: Progress

    def round(self, peers: list[Peer], stack: Stack | None = None) -> Round:
        """Start all peers and put each load on each peer in turn, on the service also through a stack's gateway.

        Raises WrongAnswerError.
        """
        with ExitStack() as running_peers:
            started = [
                running_peers.enter_context(self.started(peer, port))
                for peer, port in zip(peers, self.ports, strict=True)
            ]
            for one in started:
                self._check(one)
            ways = {one.peer.letter: one for one in started}
            if stack is not None:
                stack.route_to(ways[SERVICE].port)
                ways[GATEWAY] = replace(ways[SERVICE], port=stack.port, sent=0, gateway=stack.gateway)
            samples = {}
            for level in LOADS:
                for letter, one in ways.items():
                    self.progress(f"({letter}) {level.rows} rows, {level.connections} connections")
                    samples[letter, level] = self._sample(one, level)
            if stack is not None:
                ways[SERVICE].sent += ways[GATEWAY].sent
            held = {one.peer.letter: memory(one.process) for one in started}
            for one in started:
                _check_log(one)
            return Round({one.peer.letter: one.cold for one in started}, held, samples)

    @contextmanager
    def started(self, peer: Peer, port: int) -> Iterator[Started]:
        """Run a peer until the block ends; returns after its first response."""
        body = self.materials.bodies(1).read_bytes().split(b"\n")[0]
        command, log = peer.command(port), self.materials.folder / f"{peer.letter}.log"
        with ExitStack() as stack:
            begun = time.perf_counter()
            process = stack.enter_context(running(command.words, command.environment, self.cores.server, log))
            while _status(peer, port, body) != http.client.OK:
                if time.perf_counter() - begun > START_SECONDS or not process.is_running():
                    raise WrongAnswerError(
                        f"({peer.letter}) does not start; its log ends with: {log.read_text()[-2000:]}"
                    )
                time.sleep(0.01)
            cold, helper = time.perf_counter() - begun, None
            if peer.beside is not None:
                words, environment = peer.beside.words, peer.beside.environment
                helper = stack.enter_context(running(words, environment, self.cores.others, log))
            yield Started(peer, port, process, helper, cold)

    def _sample(self, one: Started, level: Load) -> Sample:
        bodies, key = self.materials.bodies(level.rows), one.peer.key
        warm = load.run(level, one.port, bodies, key, load.WARM_UP_SECONDS, self.cores.others)
        self._settle(one)
        server, gateway, beside = cpu_seconds(one.process), _gateway_seconds(one), self._beside(one)
        result = load.run(level, one.port, bodies, key, self.seconds, self.cores.others)
        server, gateway = cpu_seconds(one.process) - server, _gateway_seconds(one) - gateway
        drained = self._settle(one)
        one.sent += (warm.requests + result.requests) * (level.rows if one.peer.rows_counted else 1)
        if result.errors or warm.errors or not result.requests:
            failed = result.errors + warm.errors
            raise WrongAnswerError(f"({one.peer.letter}) answered {result.requests} requests, {failed} failed")
        return Sample(result, server, gateway, self._beside(one) - beside, drained)

    def _settle(self, one: Started) -> float:
        """Wait until the peer is idle, as servers go on with requests of disconnected clients; returns the seconds."""
        begun = time.perf_counter()
        _answer(one.peer, one.port, self.materials.bodies(1).read_bytes().split(b"\n")[0])
        one.sent += 1
        _drain(one)
        return time.perf_counter() - begun

    def _beside(self, one: Started) -> float:
        if one.peer.logged is None:
            return 0.0
        return cpu_seconds(self.postgres) + (cpu_seconds(one.helper) if one.helper else 0.0)

    def _check(self, one: Started) -> None:
        """Check that the peer's probabilities equal the model's for every body that will be sent."""
        if one.peer.logged is not None:
            one.sent = -_stored(one.peer)
        for rows in sorted({level.rows for level in LOADS}):
            position = 0
            for body in self.materials.bodies(rows).read_bytes().splitlines():
                answer = _answer(one.peer, one.port, body)
                expected = one.peer.expected[position : position + rows]
                position += rows
                answered = one.peer.probabilities(answer)
                near = (abs(a - b) <= TOLERANCE for a, b in zip(answered, expected, strict=True))
                if not all(near):
                    raise WrongAnswerError(f"({one.peer.letter}) returns other probabilities than its model")
                one.sent += rows if one.peer.rows_counted else 1


def _gateway_seconds(one: Started) -> float:
    return cpu_seconds(one.gateway) if one.gateway else 0.0


def _check_log(one: Started) -> None:
    """Check that every answered prediction is stored; requests that wrk drops at the end are stored but not counted."""
    if one.peer.logged is None:
        return
    _drain(one)
    missing = one.sent - _stored(one.peer)
    if missing > 0:
        raise WrongAnswerError(f"({one.peer.letter}) answered {missing} predictions that it did not log")


def _stored(peer: Peer) -> int:
    return peer.logged() if peer.logged is not None else 0


def _drain(one: Started) -> None:
    """Wait until every answered prediction is stored."""
    begun = time.perf_counter()
    while one.peer.waiting():
        if time.perf_counter() - begun > DRAIN_SECONDS:
            raise WrongAnswerError(f"({one.peer.letter}) has not stored its log after {DRAIN_SECONDS} s")
        time.sleep(0.05)


def _status(peer: Peer, port: int, body: bytes) -> int | None:
    try:
        return _request(peer, port, body)[0]
    except OSError:
        return None


def _answer(peer: Peer, port: int, body: bytes) -> object:
    status, content = _request(peer, port, body)
    if status != http.client.OK:
        raise WrongAnswerError(f"({peer.letter}) returned status {status}: {content[:500]!r}")
    return json.loads(content)


def _request(peer: Peer, port: int, body: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json"}
    if peer.key is not None:
        headers["Authorization"] = f"Bearer {peer.key.read_text()}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/predict", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
