"""Lambda and the HTTP API for the simulated AWS, whose functions echo: the real function of a version's real image.

Calls of Lambda's API go on to the simulated account, but for invocations: for these the version's image is pulled from
the registry and an instance started as Lambda starts it. What differs from AWS: a version has one instance, nothing is
frozen or takes longer than it may, and the base below the Bento is this environment.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from http_api import body_of, http_event
from lambda_runtime import FunctionError, LambdaRuntime, running_function
from registry_server import Registry
from simulated_aws.server import SimulatedAws

Response = tuple[int, Mapping[str, str], bytes]
_HOP = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "content-encoding"}


@dataclass
class LambdaHost:
    """Plays Lambda for one function, and the HTTP API before its alias `live`; in a folder of its own."""

    aws: SimulatedAws
    registry: Registry
    function: str
    folder: Path
    endpoint: str = ""
    """Of Lambda's API, for `AWS_ENDPOINT_URL_LAMBDA`."""
    url: str = ""
    """Of the HTTP API."""
    environment: dict[str, str] = field(default_factory=dict)
    """What an instance has instead of, or beside the function's own: AWS's way to itself."""
    invoked: list[tuple[str, str]] = field(default_factory=list)
    """Version and path of each invocation."""
    broken: bool = False
    """The HTTP API answers 502, whatever the function does."""

    def __post_init__(self) -> None:
        self._lambda = self.aws.client("lambda")
        self._instances: dict[str, LambdaRuntime] = {}
        self._running = ExitStack()
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the end of the block."""
        with self._running, _server(self._api) as self.endpoint, _server(self._http) as self.url:
            yield

    def live(self) -> str:
        """The version that clients reach."""
        return str(self._lambda.get_alias(FunctionName=self.function, Name="live")["FunctionVersion"])

    def invoke(self, version: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """A version's answer, by an instance that is started when it is needed. Raises FunctionError."""
        with self._lock:
            self.invoked.append((version, event["rawPath"]))
            if version not in self._instances:
                self._instances[version] = self._start(version)
            try:
                return self._instances[version].invoke(event)
            except FunctionError:
                del self._instances[version]  # it has ended
                raise

    def _start(self, version: str) -> LambdaRuntime:
        described = self._lambda.get_function(FunctionName=self.function, Qualifier=version)
        bento = self.registry.bento_of(described["Code"]["ImageUri"], self.folder)
        state = self.folder / f"version-{version}"
        state.mkdir(exist_ok=True)
        given = described["Configuration"].get("Environment", {}).get("Variables", {})
        own = {"PATH": os.defpath, "DEPOSIT_STATE_DIR": str(state), "AWS_LAMBDA_FUNCTION_VERSION": version}
        command = [sys.executable, "-m", "awslambdaric", "lambda_handler.handler"]
        environment = given | self.environment | own
        instance = running_function(command, bento / "src", environment, state / "log")
        return self._running.enter_context(instance)

    def _api(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        parts = urlsplit(path)
        if method == "POST" and parts.path.endswith("/invocations"):
            (version,) = parse_qs(parts.query)["Qualifier"]
            try:
                return (
                    200,
                    {"Content-Type": "application/json"},
                    json.dumps(self.invoke(version, json.loads(body))).encode(),
                )
            except FunctionError as error:
                return 200, {"X-Amz-Function-Error": "Unhandled"}, str(error).encode()
        with httpx.Client(trust_env=False, timeout=30) as client:
            passed_on = client.request(method, f"{self.aws.url}{path}", headers=_kept(headers), content=body)
        return passed_on.status_code, _kept(passed_on.headers), passed_on.content

    def _http(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        if self.broken:
            return 502, {}, b"bad gateway"
        parts = urlsplit(path)
        event = http_event(method, parts.path, body, headers=dict(headers), query=parts.query)
        try:
            answer = self.invoke(self.live(), event)
        except FunctionError:
            return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
        return answer["statusCode"], _kept(answer.get("headers", {})), body_of(answer)


def make_function(aws: SimulatedAws, name: str, image: str, **variables: str) -> None:
    """What Terraform makes: the function on the serving base, its first version, the alias `live`."""
    policy = {"Version": "2012-10-17", "Statement": []}
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))["Role"]["Arn"]
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=name,
        PackageType="Image",
        Code={"ImageUri": image},
        Role=role,
        Timeout=29,
        MemorySize=1769,
        ImageConfig={
            "EntryPoint": ["python", "-m", "awslambdaric"],
            "Command": ["lambda_handler.handler"],
            "WorkingDirectory": "/bento/src",
        },
        Environment={"Variables": variables},
        Publish=True,
    )
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


@contextmanager
def _server(answer: Any) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are the server's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
