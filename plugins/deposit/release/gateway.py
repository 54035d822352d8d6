"""The gateway: the switch from one release's replicas to the next one's.

Caddy deals requests in turn between places, and reads the address of a place's replica from a file at each request
(`{file.…}`); a release renames new files over them. With fewer replicas than places each has several.
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
from deposit.files import StateFolder
from deposit.release.caddy import NO_UPSTREAM, NO_UPSTREAM_BEFORE, PLACES, config, places
from deposit.sections import GatewaySettings
from deposit.settings import Settings

if TYPE_CHECKING:
    from deposit.release.repository import Release


class Gateway:
    """The running Caddy and its files under `<state_dir>/caddy`."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.state.caddy
        self.config_file = folder / "caddy.json"
        self._places = places(folder / "upstream")
        self.login_file = folder / "login"
        self._admin = settings.release.gateway_admin
        self._to_file = settings.gateway.access_log == "file"
        self._start = "make up" if settings.release.target == "docker" else "deposit up"
        self._access_log = settings.state.logs / "access.log"
        self._config = config(settings, self._places[0], self.login_file, self._access_log)

    def prepare(self) -> Path:
        """Write Caddy's files where they are missing or old; the path for `caddy run --config`.

        The login of the UIs is none of them: `deploy.credentials` makes it, before Caddy starts.
        """
        self.config_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._to_file:
            self._access_log.parent.mkdir(exist_ok=True)
        _replace(self.config_file, json.dumps(self._config, indent=1))
        # a gateway of before knew the first place alone
        before = self._read()[0]
        for place in self._places:
            if not place.exists() or place.read_text() == NO_UPSTREAM_BEFORE:
                _replace(place, before)
        return self.config_file

    def upstream(self) -> tuple[str, ...]:
        """The replicas that share the requests, as `host:port`; what every place says if a crash left them at odds."""
        current = self._read()
        addresses = tuple(dict.fromkeys(current))
        if addresses == (NO_UPSTREAM,):
            return ()
        return addresses if current == _dealt(addresses) else tuple(current)

    def point_to(self, addresses: tuple[str, ...]) -> None:
        """Send all requests from now on to these replicas; those under way finish where they are."""
        current, wanted = self._read(), _dealt(addresses or (NO_UPSTREAM,))
        changes = [change for change in zip(self._places, current, wanted, strict=True) if change[1] != change[2]]
        # the first place says whether there is any: named last, and withdrawn first
        for place, _, address in changes if not addresses else reversed(changes):
            _replace(place, address)

    def switch(
        self,
        release: "Release",  # noqa: ARG002
        addresses: tuple[str, ...],
        test: Callable[[str], None],  # noqa: ARG002
    ) -> tuple[str, ...]:
        """As `point_to`: requests go to the very addresses that were tested, so nothing is left to test."""
        self.point_to(addresses)
        return addresses

    def withdraw(self) -> None:
        """Answer requests with the word that nothing is released."""
        self.point_to(())

    def _read(self) -> list[str]:
        texts = [place.read_text() if place.exists() else NO_UPSTREAM for place in self._places]
        return [NO_UPSTREAM if text == NO_UPSTREAM_BEFORE else text for text in texts]

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


def _dealt(addresses: tuple[str, ...]) -> list[str]:
    """The address of each place."""
    return [addresses[place % len(addresses)] for place in range(PLACES)]


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


def trust(gateway: GatewaySettings, state: StateFolder) -> ssl.SSLContext:
    """TLS for its URL: the gateway's own authority, or the very certificate that it was given.

    The name that it was given is not asked for: who works on the gateway's machine connects to its address. Raises
    ConfigError if the certificate cannot be read.
    """
    if gateway.tls == "off":
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # a certificate that is given vouches for itself, whoever has signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    given = gateway.certificate_file if gateway.tls == "files" else None
    path = given or state.caddy / _AUTHORITY
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the gateway's certificate {path}: {remedy(None)}, or correct the gateway's settings"
        ) from error
    return context
