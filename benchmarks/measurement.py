"""One round: every peer is started, checked, put under load in turn with the others, and ended."""

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
    """A peer that answers wrongly, or not at all, is not timed."""


class Sample(NamedTuple):
    """One peer under one load for some seconds.

    Args:
        server: CPU seconds of the peer's own processes.
        gateway: CPU seconds of the gateway, if the load went through it.
        beside: CPU seconds of the database and of the peer's helper, until everything is stored.
        drained: seconds after the load until all was stored.
    """

    result: Result
    server: float
    gateway: float
    beside: float
    drained: float


@dataclass
class Started:
    """A peer that runs; `cold` is seconds from start to first answer, `gateway` is what listens on its port instead."""

    peer: Peer
    port: int
    process: psutil.Process
    helper: psutil.Process | None
    cold: float
    sent: int = 0
    gateway: psutil.Process | None = None


class Round(NamedTuple):
    """Everything measured in one round, by the peers' letters; the service has a second one, through the gateway."""

    cold: dict[str, float]
    memory: dict[str, Memory]
    samples: dict[tuple[str, Load], Sample]


@dataclass(frozen=True)
class Bench:
    """Where and how to measure; `ports` has one for each peer."""

    materials: Materials
    postgres: psutil.Process
    cores: Cores
    ports: range
    seconds: int
    progress: Progress

    def round(self, peers: list[Peer], stack: Stack | None = None) -> Round:
        """Start all, then each load on each peer in turn, on the service through a stack's gateway too.

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
                stack.lead_to(ways[SERVICE].port)
                ways[GATEWAY] = replace(ways[SERVICE], port=stack.port, sent=0, gateway=stack.gateway)
            samples = {}
            for asked in LOADS:
                for letter, one in ways.items():
                    self.progress(f"({letter}) {asked.rows} rows, {asked.connections} connections")
                    samples[letter, asked] = self._sample(one, asked)
            if stack is not None:
                ways[SERVICE].sent += ways[GATEWAY].sent
            held = {one.peer.letter: memory(one.process) for one in started}
            for one in started:
                _check_log(one)
            return Round({one.peer.letter: one.cold for one in started}, held, samples)

    @contextmanager
    def started(self, peer: Peer, port: int) -> Iterator[Started]:
        """A peer from its start until the block ends; its first request is answered."""
        body = self.materials.bodies(1).read_bytes().split(b"\n")[0]
        command, log = peer.command(port), self.materials.folder / f"{peer.letter}.log"
        with ExitStack() as stack:
            begun = time.perf_counter()
            process = stack.enter_context(running(command.words, command.environment, self.cores.server, log))
            while _status(peer, port, body) != http.client.OK:
                if time.perf_counter() - begun > START_SECONDS or not process.is_running():
                    raise WrongAnswerError(f"({peer.letter}) does not start; its log ends: {log.read_text()[-2000:]}")
                time.sleep(0.01)
            cold, helper = time.perf_counter() - begun, None
            if peer.beside is not None:
                words, environment = peer.beside.words, peer.beside.environment
                helper = stack.enter_context(running(words, environment, self.cores.others, log))
            yield Started(peer, port, process, helper, cold)

    def _sample(self, one: Started, asked: Load) -> Sample:
        bodies, key = self.materials.bodies(asked.rows), one.peer.key
        warm = load.run(asked, one.port, bodies, key, load.WARM_UP_SECONDS, self.cores.others)
        self._settle(one)
        server, gateway, beside = cpu_seconds(one.process), _gateway_seconds(one), self._beside(one)
        result = load.run(asked, one.port, bodies, key, self.seconds, self.cores.others)
        server, gateway = cpu_seconds(one.process) - server, _gateway_seconds(one) - gateway
        drained = self._settle(one)
        one.sent += (warm.requests + result.requests) * (asked.rows if one.peer.rows_counted else 1)
        if result.errors or warm.errors or not result.requests:
            failed = result.errors + warm.errors
            raise WrongAnswerError(f"({one.peer.letter}) answered {result.requests} requests and failed {failed}")
        return Sample(result, server, gateway, self._beside(one) - beside, drained)

    def _settle(self, one: Started) -> float:
        """Wait until the peer is idle: a server goes on with requests whose clients have gone; in seconds."""
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
        """The peer's probabilities are the model's, for every body that will be sent."""
        if one.peer.logged is not None:
            one.sent = -_stored(one.peer)
        for rows in sorted({asked.rows for asked in LOADS}):
            position = 0
            for body in self.materials.bodies(rows).read_bytes().splitlines():
                answer = _answer(one.peer, one.port, body)
                expected = one.peer.expected[position : position + rows]
                position += rows
                answered = one.peer.probabilities(answer)
                near = (abs(a - b) <= TOLERANCE for a, b in zip(answered, expected, strict=True))
                if not all(near):
                    raise WrongAnswerError(f"({one.peer.letter}) does not answer what its model says")
                one.sent += rows if one.peer.rows_counted else 1


def _gateway_seconds(one: Started) -> float:
    return cpu_seconds(one.gateway) if one.gateway else 0.0


def _check_log(one: Started) -> None:
    """What was answered is stored; at the end of a load, wrk leaves requests that are stored and not counted."""
    if one.peer.logged is None:
        return
    _drain(one)
    missing = one.sent - _stored(one.peer)
    if missing > 0:
        raise WrongAnswerError(f"({one.peer.letter}) answered {missing} predictions that it did not log")


def _stored(peer: Peer) -> int:
    return peer.logged() if peer.logged is not None else 0


def _drain(one: Started) -> None:
    """Wait until everything answered is stored."""
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
        raise WrongAnswerError(f"({peer.letter}) answers {status}: {content[:500]!r}")
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
