"""Proxy variables of the environment: used for the internet, never for the stack's own services."""

from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Hosts of the stack without Docker; the compose file names those of the stack with Docker."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPT = "no_proxy"
_UNUSABLE = "socks"
"""Proxies that not every client supports; httpx fails if such a proxy is set, even for requests that bypass it."""


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxy variables for a process, in lower and upper case with equal values: clients differ in which they prefer.

    Hosts in `no_proxy` stay there, and the stack's own are added. SOCKS proxies are left out.
    """
    given = {name: environ.get(name) or environ.get(name.upper()) or "" for name in _PROXIES}
    wanted = {
        name: value for name, value in given.items() if value and not urlsplit(value).scheme.startswith(_UNUSABLE)
    }
    hosts = [host.strip() for name in (_EXCEPT, _EXCEPT.upper()) for host in environ.get(name, "").split(",")]
    wanted[_EXCEPT] = ",".join(dict.fromkeys(host for host in (*hosts, *OWN_HOSTS) if host))
    return wanted | {name.upper(): value for name, value in wanted.items()}


def settle(environ: MutableMapping[str, str]) -> None:
    """Set an environment's proxy variables to what `variables` returns; call it before the process creates clients."""
    wanted = variables(environ)
    for name in (*_PROXIES, _EXCEPT):
        for spelled in (name, name.upper()):
            environ.pop(spelled, None)
    environ.update(wanted)
