"""The gateway: the switch from one service to the next.

Caddy reads the upstream's address from a file at each request (`{file.…}`), and a release renames a new file over it.
A switch through the admin API would reload Caddy's servers, and each reload closes the connections of keep-alive
clients under their hands: measured on 20 switches under load, 128 of 7,500 requests were reset by a reload, none by the
file. So the admin API is used only when the configuration itself changes.
"""

import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from deposit.errors import ConfigError, UpstreamError, remedy
from deposit.release.caddy import NO_UPSTREAM, config
from deposit.settings import Settings

if TYPE_CHECKING:
    from deposit.release.repository import Release


class Gateway:
    """The running Caddy and its files under `<state_dir>/caddy`."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.state.caddy
        self.config_file = folder / "caddy.json"
        self._upstream_file = folder / "upstream"
        self.login_file = folder / "login"
        self._admin = settings.release.gateway_admin
        self._to_file = settings.gateway.access_log == "file"
        self._start = "make up" if settings.release.target == "docker" else "deposit up"
        self._access_log = settings.state.logs / "access.log"
        self._config = config(settings, self._upstream_file, self.login_file, self._access_log)

    def prepare(self) -> Path:
        """Write Caddy's files where they are missing or old; the path for `caddy run --config`.

        The login of the UIs is none of them: `deploy.ui_login` makes it, before Caddy starts.
        """
        self.config_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._to_file:
            self._access_log.parent.mkdir(exist_ok=True)
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

    def switch(self, release: "Release", address: str, test: Callable[[str], None]) -> str:  # noqa: ARG002
        """As `point_to`: requests go to the very address that was tested, so nothing is left to test."""
        self.point_to(address)
        return address

    def withdraw(self) -> None:
        """Answer requests with the word that nothing is released."""
        self.point_to(None)

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
            response = _ask(self._admin, method, path, body)
        except httpx.TransportError as error:
            raise UpstreamError(
                f"the gateway does not answer on {self._admin} ({error}): start it (`{self._start}`)"
            ) from error
        if response.is_error:
            raise UpstreamError(f"the gateway refused {method} {path}: {response.text.strip()}")
        return response.content


def listens(admin: str) -> bool:
    """Whether a Caddy answers on this admin socket."""
    try:
        return _ask(admin, "GET", "/config/", None).is_success
    except httpx.TransportError:
        return False


def _ask(admin: str, method: str, path: str, body: bytes | None) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(_NO_TLS, uds=admin), timeout=10) as client:
        return client.request(
            method, f"http://127.0.0.1{path}", content=body, headers={"Content-Type": "application/json"}
        )


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A socket needs none; httpx would read all authorities at each look of the releaser, which takes 0.1 s."""


def _replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


_AUTHORITY = Path("caddy", "pki", "authorities", "local", "root.crt")
"""Where Caddy keeps the certificate of its own authority, below its folder."""


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
    path = given or settings.state.caddy / _AUTHORITY
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the gateway's certificate {path}: {remedy(None)}, or correct the gateway's settings"
        ) from error
    return context
