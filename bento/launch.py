"""Serve the Bento that contains this file in a single process, without BentoML's arbiter.

`bentoml serve` starts a circus arbiter with the worker as its child process. If the arbiter is killed, an orphaned
worker keeps the port, and the arbiter itself takes 100 MB to watch what supervisor watches already. This script runs
the same Bento in the process that supervisor started, and the kernel terminates it if supervisor dies. BentoML handles
startup and shutdown. Requests go straight to the application, because BentoML's layers above it cost more than the
model.
"""

import ctypes
import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from _bentoml_impl.loader import load

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
# longer than the gateway's own keep-alive, so that this side never closes a connection while a request is in flight
_KEEP_ALIVE_SECONDS = 75
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def main() -> None:
    """Serve until SIGTERM, then finish the requests in flight."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--drain-seconds", type=int, default=30)
    options = parser.parse_args()
    if sys.platform == "linux":
        _end_with_parent()
        _share_heaps()
    bento = load(str(Path(__file__).resolve().parents[1]), standalone_load=True).to_asgi()
    from service import application  # the module that BentoML has just loaded
    from serving.whole_answers import WholeAnswers

    uvicorn.run(
        split(application, bento),
        http=WholeAnswers,
        host=options.host,
        port=options.port,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=options.drain_seconds,
    )


def split(application: Asgi, bento: Asgi) -> Asgi:
    """Return an ASGI application that sends HTTP requests to `application` and lifespan events to `bento`."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await application(scope, receive, send)
        else:
            await bento(scope, receive, send)

    return serve


def _end_with_parent() -> None:
    parent = os.getppid()
    if not parent:  # PID 1 of a container, which the container engine stops
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("supervisor died while the service was starting")


def _share_heaps() -> None:
    """Limit glibc to two heaps (arenas): memory freed in one thread's heap cannot be reused by other threads."""
    with suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


if __name__ == "__main__":
    main()
