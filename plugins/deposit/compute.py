"""Run independent tasks in threads of this process, or on the workers of a Dask cluster.

Results come in the order of the calls, and the number of tasks in flight is bounded. If a worker is lost, Dask runs its
tasks on another one. `distributed` is imported only if a scheduler is set.
"""

import hashlib
import logging
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast
from uuid import uuid4

import pyarrow as pa

from deposit.errors import ConfigError, UpstreamError
from deposit.sections import ComputeSettings

P = ParamSpec("P")
R = TypeVar("R")
Versions = Mapping[str, str]
_LIBRARIES = (
    "cloudpickle", "dask", "distributed", "msgspec", "numpy", "optuna", "pandas", "pyarrow", "scikit-learn", "scipy",
    "xgboost-cpu", "xgboost",
)  # fmt: skip
"""Libraries that determine the numbers, or serialise them for the wire."""
_AHEAD = 2
"""Tasks in flight for each thread of a worker: the running one and the next."""
_CONNECT_SECONDS = 10.0
_POLL_SECONDS = 5.0


class Pool(Protocol):
    """Runs tasks."""

    def share(self, value: R) -> R:
        """Return a stand-in for an argument of many calls of `map`; the value is sent to each worker only once."""

    def map(self, function: Callable[P, R], calls: Iterable[tuple[Any, ...]]) -> Generator[R]:
        """Yield the function's result for the arguments of each call, in order; re-raise what the function raises."""


@contextmanager
def pool(settings: ComputeSettings, threads: int) -> Iterator[Pool]:
    """The workers of the configured scheduler or, without one, `threads` threads of this process.

    Raises ConfigError if the workers run other code or packages, UpstreamError if the scheduler does not answer or has
    no worker.
    """
    if settings.scheduler is None:
        with ThreadPoolExecutor(threads, thread_name_prefix="compute") as executor:
            yield _Threads(executor, threads)
    else:
        with _cluster(settings.scheduler, settings.patience) as cluster:
            yield cluster


class _Threads:
    def __init__(self, executor: ThreadPoolExecutor, threads: int) -> None:
        self._executor, self._threads = executor, threads

    def share(self, value: R) -> R:
        return value

    def map(self, function: Callable[P, R], calls: Iterable[tuple[Any, ...]]) -> Generator[R]:
        waiting: deque[Future[R]] = deque()
        for call in calls:
            waiting.append(self._executor.submit(function, *call))  # type: ignore[call-arg]
            if len(waiting) > self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _cluster(address: str, patience: float) -> Iterator["_Cluster"]:
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            "DEPOSIT_COMPUTE__SCHEDULER is set, but Dask is not installed: `uv sync --group dask`"
        ) from error
    # training rows are large task arguments on purpose: no reason for a warning
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # their failures are raised as errors of ours
    try:
        client: Any = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, direct_to_workers=True)  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # TypeError: missing certificates
        raise UpstreamError(
            f"no Dask scheduler answers at {address}: start it, or leave DEPOSIT_COMPUTE__SCHEDULER empty", [error]
        ) from error
    try:
        yield _Cluster(client, address, patience)
    finally:
        client.close(timeout=_CONNECT_SECONDS)


class _Cluster:
    """The workers of a scheduler, checked to run the same code and packages as this process.

    Args:
        client: connected Dask client.
        address: address of the scheduler.
        patience: seconds that the scheduler may have no worker.
    """

    def __init__(self, client: Any, address: str, patience: float) -> None:
        self._client, self._address, self._patience = client, address, patience
        self._versions = versions()
        with self._translated():
            try:
                client.wait_for_workers(1, timeout=patience)
            except TimeoutError as error:
                raise self._no_worker() from error
            answers = client.run(versions, on_error="return")
        for worker, answer in sorted(answers.items()):
            refuse_other(self._versions, answer if isinstance(answer, dict) else {"deposit": "none"}, worker)

    def share(self, value: R) -> R:
        # the packed value is a task argument, which the scheduler keeps: a lost worker does not lose the value
        return cast(R, self._client.submit(unpack, pack(value), pure=False))

    def map(self, function: Callable[P, R], calls: Iterable[tuple[Any, ...]]) -> Generator[R]:
        waiting: deque[Any] = deque()
        with self._translated():
            for call in calls:
                waiting.append(self._submit(function, call))
                if len(waiting) > self._width():
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())

    def _submit(self, function: Callable[..., Any], call: tuple[Any, ...]) -> Any:
        """Submit one call; its unshared arguments go packed through the scheduler, which keeps them for a rerun."""
        from distributed import Future as Shared

        places = [place for place, each in enumerate(call) if isinstance(each, Shared)]
        packed = pack([None if place in places else each for place, each in enumerate(call)])
        shared = [call[place] for place in places]
        key = f"{function.__name__}-{uuid4().hex}"  # the dashboard groups tasks by this prefix
        return self._client.submit(_checked, self._versions, function, packed, places, *shared, key=key)

    def _width(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, _AHEAD * sum(int(worker["nthreads"]) for worker in workers))

    def _result(self, future: Any) -> Any:
        alone_since: float | None = None
        while True:
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if future.done():  # raised by the function itself
                    raise
            now = time.monotonic()
            alone_since = None if self._client.scheduler_info(n_workers=-1)["workers"] else (alone_since or now)
            if alone_since is not None and now - alone_since > self._patience:
                raise self._no_worker()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Convert Dask's own failures to errors of ours."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            yield
        except KilledWorker as error:
            raise UpstreamError(
                f"several workers of the Dask scheduler {self._address} died while running the same task: give them "
                "more memory (see their logs), then start again; finished work is kept"
            ) from error
        except (CancelledError, CommClosedError) as error:
            raise UpstreamError(
                f"the connection to the Dask scheduler {self._address} was lost: start the scheduler, then start "
                "again; finished work is kept"
            ) from error

    def _no_worker(self) -> UpstreamError:
        return UpstreamError(
            f"the Dask scheduler {self._address} has had no worker for {self._patience:.0f} s: start one, then start "
            "again; finished work is kept"
        )


def _checked(expected: Versions, function: Callable[..., R], packed: bytes, places: list[int], *shared: Any) -> R:
    """Run a call on a worker; checks the versions again, since the worker may have joined after the first check."""
    refuse_other(expected, versions(), platform.node())
    arguments = unpack(packed)
    for place, each in zip(places, shared, strict=True):
        arguments[place] = each
    return function(*arguments)


def pack(value: object) -> bytes:
    """Pickle and compress a value: customer columns repeat values, so a quarter of the bytes remains."""
    content = pickle.dumps(value, protocol=5)
    return len(content).to_bytes(8) + bytes(pa.compress(content, "lz4_raw"))


def unpack(packed: bytes) -> Any:
    """Restore a value that another process of the same cluster packed."""
    content = pa.decompress(packed[8:], int.from_bytes(packed[:8]), "lz4_raw")
    return pickle.loads(content)  # noqa: S301 - both ends of the wire run each other's code anyway (decision 30)


def refuse_other(expected: Versions, got: Versions, worker: str) -> None:
    """Raise ConfigError if a worker's versions differ from the expected ones."""
    other = [
        f"{name} {got.get(name, 'none')} instead of {expected.get(name, 'none')}"
        for name in sorted(expected.keys() | got.keys())
        if got.get(name) != expected.get(name)
    ]
    if other:
        more = f" and {len(other) - 1} more" if other[1:] else ""
        raise ConfigError(
            f"the Dask worker {worker} runs other versions than this process ({other[0]}{more}): start scheduler and "
            "workers from the same image or environment",
            other,
        )


@cache
def versions() -> dict[str, str]:
    """Versions in this process: Python, the code of this package, and the libraries of `_LIBRARIES`."""
    present = {"python": platform.python_version(), "deposit": _code()}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            present[name] = version(name)
    return present


def _code() -> str:
    package, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
