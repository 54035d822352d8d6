"""Proxies of the environment: the way to the world, never to the stack's own parts."""

from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Where the parts of a stack without Docker are; compose's file names those of a stack with Docker."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPT = "no_proxy"
_UNUSABLE = "socks"
"""Proxies that not every client here can use; httpx ends at the mere sight of one, whatever it asks for."""


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables that a process is to have, in both spellings, each with the same value; no others.

    Hosts that are spared stay so, and the own ones join them. Clients differ in which spelling they prefer.
    """
    given = {name: environ.get(name) or environ.get(name.upper()) or "" for name in _PROXIES}
    wanted = {
        name: value for name, value in given.items() if value and not urlsplit(value).scheme.startswith(_UNUSABLE)
    }
    hosts = [host.strip() for name in (_EXCEPT, _EXCEPT.upper()) for host in environ.get(name, "").split(",")]
    wanted[_EXCEPT] = ",".join(dict.fromkeys(host for host in (*hosts, *OWN_HOSTS) if host))
    return wanted | {name.upper(): value for name, value in wanted.items()}


def settle(environ: MutableMapping[str, str]) -> None:
    """Make an environment's proxy variables what `variables` says; for a process's own, before it makes clients."""
    wanted = variables(environ)
    for name in (*_PROXIES, _EXCEPT):
        for spelled in (name, name.upper()):
            environ.pop(spelled, None)
    environ.update(wanted)
