"""Lambda's side of a function: the runtime API that `awslambdaric` asks for events, and one instance behind it."""

import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 60.0
_FUNCTION_SECONDS = 29
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:deposit-front"


class FunctionError(Exception):
    """The function failed: what it told the runtime API."""


class LambdaRuntime:
    """The runtime API of one instance; it asks for an event, gives the answer, and is frozen until the next."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.asked = threading.Event()
        """Set when the instance asked for its first event: its start is over."""
        self.asked_at = 0.0
        self._events: queue.Queue[bytes] = queue.Queue()
        self._answers: queue.Queue[bytes | FunctionError] = queue.Queue()
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: a delayed acknowledgement would cost 40 ms

            def do_GET(self) -> None:
                if not runtime.asked.is_set():
                    runtime.asked_at = time.monotonic()
                    runtime.asked.set()
                deadline = int((time.time() + _FUNCTION_SECONDS) * 1000)
                self._reply(
                    200,
                    runtime._events.get(),
                    {
                        "Content-Type": "application/json",
                        "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Invoked-Function-Arn": ARN,
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                failed = self.path.endswith("/error")
                runtime._answers.put(FunctionError(body.decode()) if failed else body)
                self._reply(202, b"", {})

            def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def address(self) -> str:
        """What `AWS_LAMBDA_RUNTIME_API` holds."""
        return f"127.0.0.1:{self.server.server_address[1]}"

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The function's answer. Raises FunctionError."""
        self._events.put(json.dumps(event).encode())
        answer = self._answers.get(timeout=_PATIENCE_SECONDS)
        if isinstance(answer, FunctionError):
            raise answer
        result: dict[str, Any] = json.loads(answer)
        return result


@contextmanager
def serving_runtime() -> Iterator[LambdaRuntime]:
    """A runtime API on loopback; who starts an instance gives it the address."""
    runtime = LambdaRuntime()
    thread = threading.Thread(target=runtime.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield runtime
    finally:
        runtime.server.shutdown()
        runtime.server.server_close()
        thread.join()


@contextmanager
def running_function(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[LambdaRuntime]:
    """A function's instance as a process, started as Lambda starts an image with this command and working directory."""
    with serving_runtime() as runtime, log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": runtime.address},
            stdout=output,
            stderr=output,
        )
        try:
            yield runtime
        finally:
            process.kill()
            process.wait()
