"""The gateway: Caddy's configuration, and the switch from one service to the next.

Caddy reads the upstream's address from a file at each request (`{file.…}`), and a release renames a new file over it.
A switch through the admin API would reload Caddy's servers, and each reload closes the connections of keep-alive
clients under their hands: measured on 20 switches under load, 128 of 7,500 requests were reset by a reload, none by the
file. So the admin API is used only when the configuration itself changes.
"""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

from deposit.errors import UpstreamError
from deposit.settings import Settings

NO_UPSTREAM = "none"
_IDLE = "2s"
"""Idle upstream connections close sooner than an old service is stopped (`drain_seconds`)."""
_RETRY = "10s"
"""How long a request waits for a service that is being restarted."""
_HEADERS = "10s"
"""How long a client may take to send its headers; the service watches over bodies."""
_SLACK = 64 * 2**10
"""The service refuses large bodies in its own words; the gateway only those that would pass it."""
_NOTHING_LIVE = (
    "no model has been released yet: run `deposit ingest`, `deposit train`, `deposit select` and `deposit release`, "
    "or trigger the DAG deposit_ingest"
)


def config(public: str, admin_socket: str, upstream_file: str, access_log: str, max_body_bytes: int) -> dict[str, Any]:
    """Caddy's whole configuration; `public` is `host:port`."""
    fields = {name: {"filter": "delete"} for name in ("request>headers", "resp_headers", "request>tls")}
    log = {
        "writer": {"output": "file", "filename": access_log, "roll_size_mb": 20, "roll_keep": 3},
        "encoder": {"format": "filter", "wrap": {"format": "json"}, "fields": fields},
        "include": ["http.log.access.public"],
    }
    server = {
        "listen": [public],
        "routes": _routes(upstream_file, max_body_bytes),
        "errors": {"routes": [_error_route()]},
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
        "read_header_timeout": _HEADERS,
        "logs": {"default_logger_name": "public"},
    }
    return {
        "admin": {"listen": f"unix/{admin_socket}", "config": {"persist": False}},
        "logging": {"logs": {"default": {"exclude": ["http.log.access.public"]}, "access": log}},
        "apps": {"http": {"grace_period": "30s", "servers": {"public": server}}},
    }


def _routes(upstream_file: str, max_body_bytes: int) -> list[dict[str, Any]]:
    upstream = f"{{file.{upstream_file}}}"
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream}],
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": _IDLE}, "dial_timeout": "3s"},
        "load_balancing": {"try_duration": _RETRY, "try_interval": "100ms"},
        "headers": {"response": {"delete": ["Server", "Via"]}},
    }
    nothing_live = {"match": [{"vars": {upstream: [NO_UPSTREAM]}}], "handle": [_answer("503", _NOTHING_LIVE)]}
    limit = {"handler": "request_body", "max_size": max_body_bytes + _SLACK}
    server_header = {"handler": "headers", "response": {"deferred": True, "delete": ["Server", "Via"]}}
    # /livez and /readyz are BentoML's and know no request id
    request_id = {"set": {"X-Request-Id": ["{http.request.uuid}"]}, "require": {"headers": {"X-Request-Id": None}}}
    return [{"handle": [server_header, {"handler": "headers", "response": {"deferred": True, **request_id}}]},
            nothing_live, {"handle": [limit, proxy]}]  # fmt: skip


def _error_route() -> dict[str, Any]:
    return {"handle": [_answer("{http.error.status_code}", "the gateway: {http.error.status_text}; try again")]}


def _answer(status: str, message: str) -> dict[str, Any]:
    # `{…}` in the body is a placeholder for Caddy only where it names one, so JSON's braces stay
    body = json.dumps({"detail": [{"row": None, "field": None, "message": message}]})
    headers = {"Content-Type": ["application/json"], "X-Request-Id": ["{http.request.uuid}"], "Server": []}
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}


class Gateway:
    """The running Caddy and its files under `<state_dir>/caddy`."""

    def __init__(self, settings: Settings) -> None:
        state_dir = settings.state_dir.resolve()
        folder = state_dir / "caddy"
        self.config_file = folder / "caddy.json"
        self._upstream_file = folder / "upstream"
        self._admin = settings.release.gateway_admin
        self._config = config(
            f"127.0.0.1:{settings.stack.gateway_port}",
            self._admin,
            str(self._upstream_file),
            str(state_dir / "logs" / "access.log"),
            max(settings.serve.max_body_bytes, settings.serve.max_rank_bytes),
        )

    def prepare(self) -> Path:
        """Write Caddy's files where they are missing or old; the path for `caddy run --config`."""
        self.config_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.config_file.parent.parent / "logs").mkdir(exist_ok=True)
        _replace(self.config_file, json.dumps(self._config, indent=1))
        if not self._upstream_file.exists():
            _replace(self._upstream_file, NO_UPSTREAM)
        return self.config_file

    def upstream(self) -> str | None:
        """Where requests go now, as `host:port`."""
        try:
            address = self._upstream_file.read_text()
        except FileNotFoundError:
            return None
        return None if address == NO_UPSTREAM else address

    def point_to(self, address: str | None) -> None:
        """Send all requests from now on to another service; those under way finish where they are."""
        _replace(self._upstream_file, address or NO_UPSTREAM)

    def repair(self) -> bool:
        """Load the configuration into Caddy if it runs another one; True if it did. Raises UpstreamError."""
        if json.loads(self._call("GET", "/config/", None) or b"null") == self._config:
            return False
        self.prepare()
        self._call("POST", "/load", json.dumps(self._config).encode())
        return True

    def _call(self, method: str, path: str, body: bytes | None) -> bytes:
        connection = _UnixConnection(self._admin)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamError(
                f"the gateway does not answer on {self._admin} ({error}): start it (`deposit up`)"
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise UpstreamError(f"the gateway refused {method} {path}: {content.decode(errors='replace').strip()}")
        return content


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        # the host header that Caddy expects on its admin socket is empty or the socket's
        super().__init__("127.0.0.1", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
