"""Caddy's configuration, whole, as its admin API takes it."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from deposit.release.published_uis import NO_LOGIN, PublishedUi, published_uis, ui_routes
from deposit.sections import GatewaySettings, bracketed
from deposit.settings import Settings

NO_UPSTREAM = "none:1-2"
"""In a place: nothing is live. Two ports are no address, so Caddy does not dial, but takes its route for errors."""
NO_UPSTREAM_BEFORE = "none"
"""What gateways before this one asked for at each request."""
PLACES = 12
"""Between which the gateway deals requests in turn, each with a file that names a replica: to change how many replicas
there are changes files alone, and so reloads nothing."""
_DEAD = "1s"
"""How long a place is passed over whose replica could not be reached."""
_SMALL = {
    "method": ["POST"],
    "path": ["/predict", "/outcomes"],
    "header_regexp": {"Content-Length": {"pattern": "^[0-9]{1,5}$"}},
}
"""Requests of which the gateway keeps the body until they are answered, to send it again if a replica dies with it."""
_KEPT_BYTES = 128 * 2**10
"""More than such a body has: what fills a buffer to the brim would not be kept whole."""
_BODY = 30 * 10**9
"""Nanoseconds that the next part of such a body may take; over others the service watches."""
_ATTEMPT = "X-Deposit-Attempt"
"""Header by which a service knows a request that another one may have recorded already (`serving/http.py`)."""
_IDLE = "2s"
"""Idle upstream connections close sooner than an old service is stopped (`drain_seconds`)."""
_IDLE_KEPT = 512
"""Such connections to one replica, as many as requests may be under way at a time: hardly any is dialled anew."""
ENVIRONMENT = {"GOGC": "400", "GOMEMLIMIT": "192MiB"}
"""Of its process: its garbage, of some MiB, is collected a quarter as often, and as ever where memory is short."""
_RETRY = "10s"
"""How long a request waits for a service that is being restarted."""
_HEADERS = "10s"
"""How long a client may take to send its headers; the service watches over bodies, and how large they are.

None of its limits stands here: to change one would reload Caddy.
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
_FRAMED_BY_ITSELF = {"X-Frame-Options": ["SAMEORIGIN"]}
"""MLflow shows what runs have logged in frames."""
_HSTS = {"Strict-Transport-Security": ["max-age=31536000"]}


def config(settings: Settings, upstream_file: Path, login_file: Path, access_log: Path) -> dict[str, Any]:
    """The configuration for these settings.

    Caddy reads a replica's address from the file of its place at each request; `upstream_file` is that of the first
    place. The hash of the UIs' password it reads from `login_file` when it loads the configuration.
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
    # only here, after a dial has failed: each look into the file costs a request a tenth of its time in the gateway
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
        "read_header_timeout": _HEADERS,
        "logs": {"default_logger_name": "public"},
    }
    if encrypted:
        shown = _to_the_nameless(gateway.names)
        server["tls_connection_policies"] = [{"default_sni": shown, "fallback_sni": shown}]
    return server


def _ui_server(
    gateway: GatewaySettings, address: str, ui: PublishedUi, login_file: Path, encrypted: bool
) -> dict[str, Any]:
    routes = [{"handle": [_headers(encrypted, _FRAMED_BY_ITSELF)]}, *ui_routes(ui, login_file)]
    server = _server(gateway, address, routes, encrypted)
    unknown = {"match": [{"vars": {"{http.error.status_code}": ["401"]}}], "handle": [_answer("401", NO_LOGIN)]}
    server["errors"]["routes"].insert(0, unknown)
    return server


def _to_the_nameless(names: tuple[str, ...]) -> str:
    """The name whose certificate those get who name no host: they asked an address, so an address if there is one.

    Behind a published port of a container Caddy does not see which address that was.
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
        # nobody's trust store is changed: a person takes the authority's certificate from the state folder
        "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
    }


def _logging(output: Literal["file", "stdout"], access_log: Path) -> dict[str, Any]:
    """One line a request: no headers, which hold keys, and no query, which may hold what a person typed.

    Both logs have this form: Caddy makes a request's line for each, also for the one that then does not take it, and
    headers are most of the line.
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
    again = {"request_buffers": _KEPT_BYTES}
    return [
        {"handle": [_headers(encrypted)]},
        {
            "match": [_SMALL],
            "handle": [
                attempt,
                {"handler": "timeouts", "read_timeout": _BODY},
                _proxy(upstream_file, {"retry_match": [{"method": ["POST"]}]}) | again,
            ],
        },
        {"handle": [no_attempt, _proxy(upstream_file, {})]},
    ]


def places(first: Path) -> list[Path]:
    """The files that name the replica of each place."""
    return [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, PLACES + 1))]


def _proxy(upstream_file: str, balancing: dict[str, Any]) -> dict[str, Any]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{file.{place}}}"} for place in places(Path(upstream_file))],
        "transport": {
            "protocol": "http",
            "keep_alive": {"idle_timeout": _IDLE, "max_idle_conns_per_host": _IDLE_KEPT},
            "dial_timeout": "3s",
        },
        "load_balancing": {
            "selection_policy": {"policy": "round_robin"},
            "try_duration": _RETRY,
            "try_interval": "100ms",
            **balancing,
        },
        "health_checks": {"passive": {"fail_duration": _DEAD}},
        # an HTTP server that refuses a request before its application has seen it gives it no id
        "headers": {
            "response": {
                "set": {"X-Request-Id": ["{http.request.uuid}"]},
                "require": {"headers": {"X-Request-Id": None}},
            }
        },
    }


def _headers(encrypted: bool, others: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    given = _SECURITY | dict(others or {}) | (_HSTS if encrypted else {})
    response = {"deferred": True, "delete": ["Server", "Via"], "set": given}
    return {"handler": "headers", "response": response}


def _error_route() -> list[dict[str, Any]]:
    return [_answer("{http.error.status_code}", "the gateway: {http.error.status_text}; try again")]


def _answer(status: str, message: str) -> dict[str, Any]:
    # `{…}` in the body is a placeholder for Caddy only where it names one, so JSON's braces stay
    body = json.dumps({"detail": [{"row": None, "field": None, "message": message}]})
    headers = {"Content-Type": ["application/json"], "X-Request-Id": ["{http.request.uuid}"], "Server": []}
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}
