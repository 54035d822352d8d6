"""Serve the Bento that this file lies in: one process, no arbiter.

`bentoml serve` starts a circus arbiter with the worker as its child: SIGKILL of the arbiter leaves a worker behind
that holds the port, and a second process of 100 MB watches what supervisor watches already. This starts the same
Bento in the process that supervisor started, and the kernel ends it if supervisor dies. BentoML starts and ends the
service; requests go straight to the application, since BentoML's layers above it cost more than the model.
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
# longer than the gateway keeps idle connections: it closes them, never this side while a request is on the way
_KEEP_ALIVE_SECONDS = 75
Asgi = Callable[[Any, Any, Any], Awaitable[None]]


def main() -> None:
    """Serve until SIGTERM, then finish what is in flight."""
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
    """One ASGI application: start and end are BentoML's, requests the application's."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await application(scope, receive, send)
        else:
            await bento(scope, receive, send)

    return serve


def _end_with_parent() -> None:
    parent = os.getppid()
    if not parent:  # the first process of a container: its engine sees to its end
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the supervisor died while this was starting")


def _share_heaps() -> None:
    """Two heaps for all threads: glibc has one for each, and what a list freed in one is no use to the next thread."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


if __name__ == "__main__":
    main()
