"""Caddy's complete configuration, in the JSON format of its admin API."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from deposit.release.published_uis import NO_LOGIN, PublishedUi, published_uis, ui_routes
from deposit.sections import GatewaySettings, bracketed
from deposit.settings import Settings

NO_UPSTREAM = "none:1-2"
"""Content of a place if nothing is live. A port range cannot be dialed, so Caddy handles its error routes instead."""
NO_UPSTREAM_BEFORE = "none"
"""The same, as written by earlier versions."""
PLACES = 12
"""Number of places: upstream slots that get requests in turn. Each is a file with the address of a replica, so another
number of replicas changes files only and needs no reload."""
_FAIL_DURATION = "1s"
"""How long a place is skipped after its replica could not be reached."""
_RETRIED = {
    "method": ["POST"],
    "path": ["/predict", "/outcomes"],
    "header_regexp": {"Content-Length": {"pattern": "^[0-9]{1,5}$"}},
}
"""Requests whose body the gateway buffers, to send it to another replica if the first one dies."""
_BUFFER_BYTES = 128 * 2**10
"""Larger than any such body: a body that fills the buffer completely would not be kept."""
_BODY_TIMEOUT = 30 * 10**9
"""Nanoseconds to wait for the next part of such a body; the service has its own timeout for the others."""
_ATTEMPT = "X-Deposit-Attempt"
"""Header by which a service recognizes a request that another replica may have logged already (`serving/http.py`)."""
_IDLE_TIMEOUT = "2s"
"""Idle upstream connections are closed before an old service is stopped (`drain_seconds`)."""
_IDLE_CONNECTIONS = 512
"""Maximum number of idle connections per replica: as many as concurrent requests, so new ones are rarely dialed."""
ENVIRONMENT = {"GOGC": "400", "GOMEMLIMIT": "192MiB"}
"""Go settings: collect garbage, a few MiB, a quarter as often as by default, and as usual near the memory limit."""
_RETRY_DURATION = "10s"
"""How long a request waits for a service that is being restarted."""
_HEADER_TIMEOUT = "10s"
"""How long a client may take to send its headers. The service limits the duration and size of bodies.

Limits of the service are not repeated here, since changing one would reload Caddy.
"""
_ACCESS = "http.log.access.public"
_NOTHING_LIVE = (
    "no model has been released yet: trigger the DAG deposit_ingest in Airflow and wait for deposit_release, or run "
    "`deposit ingest`, `deposit train`, `deposit select` and `deposit release`"
)
_SECURITY = {
    "X-Content-Type-Options": ["nosniff"],
    "Referrer-Policy": ["no-referrer"],
    "X-Frame-Options": ["DENY"],
    "Permissions-Policy": ["camera=(), geolocation=(), microphone=()"],
}
_SAME_ORIGIN_FRAMES = {"X-Frame-Options": ["SAMEORIGIN"]}
"""For UIs: MLflow shows artifacts of runs in frames."""
_HSTS = {"Strict-Transport-Security": ["max-age=31536000"]}


def config(settings: Settings, upstream_file: Path, login_file: Path, access_log: Path) -> dict[str, Any]:
    """Build the configuration.

    Args:
        settings: all settings.
        upstream_file: file of the first place. Caddy reads the files of places at each request.
        login_file: file with the hash of the UIs' password. Caddy reads it when it loads the configuration.
        access_log: file of the access log, if it is written to a file.
    """
    gateway = settings.gateway
    encrypted = gateway.tls != "off"
    host = bracketed(gateway.listen)
    servers = {"public": _api_server(gateway, f"{host}:{settings.stack.gateway_port}", upstream_file, encrypted)}
    for ui in published_uis(gateway, settings.stack, settings.links):
        servers[ui.name] = _ui_server(gateway, f"{host}:{ui.port}", ui, login_file, encrypted)
    apps: dict[str, Any] = {"http": {"grace_period": "30s", "servers": servers}}
    if gateway.inside:
        servers["inside"] = _api_server(gateway, gateway.inside, upstream_file, encrypted=False)
    if encrypted:
        apps |= _certificates(gateway)
    return {
        "admin": {"listen": f"unix/{settings.release.gateway_admin}", "config": {"persist": False}},
        "logging": _logging(gateway.access_log, access_log),
        "apps": apps,
    }


def _api_server(gateway: GatewaySettings, address: str, upstream_file: Path, encrypted: bool) -> dict[str, Any]:
    server = _server(gateway, address, _routes(str(upstream_file), encrypted), encrypted)
    # as an error route, after a failed dial: reading the file on every request would cost a tenth of the gateway's time
    nothing_live = {
        "match": [{"vars": {f"{{file.{upstream_file}}}": [NO_UPSTREAM]}}],
        "handle": [_headers(encrypted), _answer("503", _NOTHING_LIVE)],
    }
    server["errors"]["routes"].insert(0, nothing_live)
    return server


def _server(gateway: GatewaySettings, address: str, routes: list[dict[str, Any]], encrypted: bool) -> dict[str, Any]:
    server: dict[str, Any] = {
        "listen": [address],
        "routes": routes,
        "errors": {"routes": [{"handle": [_headers(encrypted), *_error_route()]}]},
        "automatic_https": {"disable": True},
        "protocols": ["h1", "h2"] if encrypted else ["h1"],
        "read_header_timeout": _HEADER_TIMEOUT,
        "logs": {"default_logger_name": "public"},
    }
    if encrypted:
        name = _default_name(gateway.names)
        server["tls_connection_policies"] = [{"default_sni": name, "fallback_sni": name}]
    return server


def _ui_server(
    gateway: GatewaySettings, address: str, ui: PublishedUi, login_file: Path, encrypted: bool
) -> dict[str, Any]:
    routes = [{"handle": [_headers(encrypted, _SAME_ORIGIN_FRAMES)]}, *ui_routes(ui, login_file)]
    server = _server(gateway, address, routes, encrypted)
    no_login = {"match": [{"vars": {"{http.error.status_code}": ["401"]}}], "handle": [_answer("401", NO_LOGIN)]}
    server["errors"]["routes"].insert(0, no_login)
    return server


def _default_name(names: tuple[str, ...]) -> str:
    """Return the name whose certificate clients without SNI get: an IP address if there is one, as they connect to one.

    Behind a published container port, Caddy cannot see which address a client connected to.
    """
    return next((name for name in names if _is_address(name)), names[0])


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _certificates(gateway: GatewaySettings) -> dict[str, Any]:
    if gateway.tls == "files":
        files = {"certificate": str(gateway.certificate_file), "key": str(gateway.key_file)}
        return {"tls": {"certificates": {"load_files": [files]}}}
    names = list(gateway.names)
    policy = {"subjects": names, "issuers": [{"module": "internal"}]}
    return {
        "tls": {"certificates": {"automate": names}, "automation": {"policies": [policy]}},
        # no trust store is changed: users copy the certificate of the authority from the state folder
        "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
    }


def _logging(output: Literal["file", "stdout"], access_log: Path) -> dict[str, Any]:
    """One line per request, without headers, which contain keys, and without the query, which may contain user input.

    Both logs use this encoder: Caddy encodes each request for both, also for the one that excludes it, and headers are
    most of a line.
    """
    fields: dict[str, Any] = {
        name: {"filter": "delete"} for name in ("request>headers", "resp_headers", "request>tls")
    } | {"request>uri": {"filter": "regexp", "regexp": r"\?.*", "value": "?"}}
    encoder = {"format": "filter", "wrap": {"format": "json"}, "fields": fields}
    file = {"output": "file", "filename": str(access_log), "roll_size_mb": 20, "roll_keep": 3}
    writer = file if output == "file" else {"output": "stdout"}
    return {
        "logs": {
            "default": {"encoder": encoder, "exclude": [_ACCESS]},
            "access": {"writer": writer, "encoder": encoder, "include": [_ACCESS]},
        }
    }


def _routes(upstream_file: str, encrypted: bool) -> list[dict[str, Any]]:
    attempt = {"handler": "headers", "request": {"set": {_ATTEMPT: ["{time.now.unix_ms}-{http.request.uuid}"]}}}
    no_attempt = {"handler": "headers", "request": {"delete": [_ATTEMPT]}}
    buffered = {"request_buffers": _BUFFER_BYTES}
    return [
        {"handle": [_headers(encrypted)]},
        {
            "match": [_RETRIED],
            "handle": [
                attempt,
                {"handler": "timeouts", "read_timeout": _BODY_TIMEOUT},
                _proxy(upstream_file, {"retry_match": [{"method": ["POST"]}]}) | buffered,
            ],
        },
        {"handle": [no_attempt, _proxy(upstream_file, {})]},
    ]


def places(first: Path) -> list[Path]:
    """Return the file of each place."""
    return [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, PLACES + 1))]


def _proxy(upstream_file: str, balancing: dict[str, Any]) -> dict[str, Any]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{file.{place}}}"} for place in places(Path(upstream_file))],
        "transport": {
            "protocol": "http",
            "keep_alive": {"idle_timeout": _IDLE_TIMEOUT, "max_idle_conns_per_host": _IDLE_CONNECTIONS},
            "dial_timeout": "3s",
        },
        "load_balancing": {
            "selection_policy": {"policy": "round_robin"},
            "try_duration": _RETRY_DURATION,
            "try_interval": "100ms",
            **balancing,
        },
        "health_checks": {"passive": {"fail_duration": _FAIL_DURATION}},
        # add an id to responses without one: those of the HTTP server itself, which did not reach the application
        "headers": {
            "response": {
                "set": {"X-Request-Id": ["{http.request.uuid}"]},
                "require": {"headers": {"X-Request-Id": None}},
            }
        },
    }


def _headers(encrypted: bool, overrides: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    headers = _SECURITY | dict(overrides or {}) | (_HSTS if encrypted else {})
    response = {"deferred": True, "delete": ["Server", "Via"], "set": headers}
    return {"handler": "headers", "response": response}


def _error_route() -> list[dict[str, Any]]:
    return [_answer("{http.error.status_code}", "the gateway: {http.error.status_text}; try again")]


def _answer(status: str, message: str) -> dict[str, Any]:
    # Caddy replaces `{…}` in a body only if it is the name of a placeholder, so the braces of JSON are kept
    body = json.dumps({"detail": [{"row": None, "field": None, "message": message}]})
    headers = {"Content-Type": ["application/json"], "X-Request-Id": ["{http.request.uuid}"], "Server": []}
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}
