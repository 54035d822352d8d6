"""The gateway: switches traffic from the replicas of one release to those of the next.

Caddy distributes requests round-robin over its upstream slots ("places"), and reads the address of each place from a
file at each request (`{file.…}`). A release replaces the files. A replica usually has several places.

A switch through the admin API would reload Caddy's servers, which closes the connections of keep-alive clients: in 20
switches under load, 128 of 7,500 requests were reset by reloads, and none by files. So the admin API is used only to
change the configuration itself.
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
        """Write the missing or outdated files of Caddy, and return the path for `caddy run --config`.

        The login file of the UIs is not one of them: `deploy.credentials` writes it before Caddy starts.
        """
        self.config_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._to_file:
            self._access_log.parent.mkdir(exist_ok=True)
        _replace(self.config_file, json.dumps(self._config, indent=1))
        # earlier versions had only the first place
        before = self._read()[0]
        for place in self._places:
            if not place.exists() or place.read_text() == NO_UPSTREAM_BEFORE:
                _replace(place, before)
        return self.config_file

    def upstream(self) -> tuple[str, ...]:
        """Return the replicas that share the traffic, as `host:port`.

        After a crash during a switch, returns the inconsistent content of all places, which equals no set of replicas.
        """
        current = self._read()
        addresses = tuple(dict.fromkeys(current))
        if addresses == (NO_UPSTREAM,):
            return ()
        return addresses if current == _distributed(addresses) else tuple(current)

    def point_to(self, addresses: tuple[str, ...]) -> None:
        """Send all new requests to these replicas; requests in flight finish where they are."""
        current, wanted = self._read(), _distributed(addresses or (NO_UPSTREAM,))
        changes = [change for change in zip(self._places, current, wanted, strict=True) if change[1] != change[2]]
        # the first place tells Caddy whether anything is live, so it is set last and withdrawn first
        for place, _, address in changes if not addresses else reversed(changes):
            _replace(place, address)

    def switch(
        self,
        release: "Release",  # noqa: ARG002
        addresses: tuple[str, ...],
        test: Callable[[str], None],  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Do as `point_to`. Requests go to the addresses that were tested, so `test` is not called."""
        self.point_to(addresses)
        return addresses

    def withdraw(self) -> None:
        """Answer requests with 503: nothing is released."""
        self.point_to(())

    def _read(self) -> list[str]:
        texts = [place.read_text() if place.exists() else NO_UPSTREAM for place in self._places]
        return [NO_UPSTREAM if text == NO_UPSTREAM_BEFORE else text for text in texts]

    def answers(self) -> bool:
        """Whether Caddy runs."""
        return listens(self._admin)

    def repair(self) -> bool:
        """Load the configuration into Caddy if it differs; returns whether it did. Raises UpstreamError."""
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


def _distributed(addresses: tuple[str, ...]) -> list[str]:
    """Return the address of each place."""
    return [addresses[place % len(addresses)] for place in range(PLACES)]


def listens(admin: str) -> bool:
    """Whether Caddy answers on this admin socket."""
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
"""Not used over a Unix socket; without it httpx would load all CA certificates at each request, which takes 0.1 s."""


def _replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


_AUTHORITY = Path("caddy", "pki", "authorities", "local", "root.crt")
"""Certificate of Caddy's own authority, relative to the folder of its state."""


def trust(gateway: GatewaySettings, state: StateFolder) -> ssl.SSLContext:
    """Return the TLS context of clients: it trusts the gateway's own authority, or the certificate of the settings.

    Host names are not verified, since clients on the gateway's machine connect to its IP address. Raises ConfigError if
    the certificate cannot be read.
    """
    if gateway.tls == "off":
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # trust the certificate of the settings itself, whoever has signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    certificate = gateway.certificate_file if gateway.tls == "files" else None
    path = certificate or state.caddy / _AUTHORITY
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the gateway's certificate {path}: {remedy(None)}, or correct the gateway's settings"
        ) from error
    return context
