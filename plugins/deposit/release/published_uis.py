"""UIs that the gateway publishes: MLflow, Evidently and Dask behind its login, and Grafana, which has its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deposit.sections import GatewaySettings, LinksSettings, StackSettings

USER = "admin"
"""User name of the gateway's login."""
NO_LOGIN = (
    "this page needs the login of MLflow, Evidently and Dask: `make credentials` prints it, or `deposit env` without "
    "Docker"
)
_UNSAFE_METHODS = ["POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class PublishedUi:
    """A UI behind the gateway.

    Args:
        name: name of its server in Caddy's configuration.
        port: port on which users reach it.
        upstream: `host:port` at which the gateway reaches it.
        link: URL shown to users, if it is set.
        own_login: whether the UI has a login of its own, so that the gateway asks for none.
    """

    name: str
    port: int
    upstream: str
    link: str | None = None
    own_login: bool = False


def published_uis(gateway: GatewaySettings, stack: StackSettings, links: LinksSettings) -> list[PublishedUi]:
    """Return the UIs that the settings put behind the gateway."""
    mlflow = [PublishedUi("mlflow", stack.mlflow_port, gateway.mlflow, links.mlflow)] if gateway.mlflow else []
    evidently = [PublishedUi("evidently", stack.evidently_port, gateway.evidently)] if gateway.evidently else []
    dask = [PublishedUi("dask", stack.dask_port, gateway.dask)] if gateway.dask else []
    grafana = [PublishedUi("grafana", stack.grafana_port, gateway.grafana, own_login=True)] if gateway.grafana else []
    return mlflow + evidently + dask + grafana


def ui_routes(ui: PublishedUi, login_file: Path) -> list[dict[str, Any]]:
    """Return Caddy's routes of one UI: login, protection against cross-site requests, proxy.

    A browser sends the password of basic authentication with requests from any site, so unsafe requests must have the
    origin of the UI. A UI with its own login does both itself, from the headers `Host` and `Origin`.
    """
    without_server = {"response": {"delete": ["Server", "Via"]}}
    if ui.own_login:
        through = {"handler": "reverse_proxy", "upstreams": [{"dial": ui.upstream}], "headers": without_server}
        return [{"handle": [through]}]
    account = {"username": USER, "password": f"{{file.{login_file}}}"}
    login = {
        "handler": "authentication",
        "providers": {"http_basic": {"accounts": [account], "hash_cache": {}, "realm": "deposit"}},
    }
    own = [f"{scheme}://{{http.request.hostport}}" for scheme in ("http", "https")]
    linked = urlsplit(ui.link or "")
    if linked.netloc:
        own.append(f"{linked.scheme}://{linked.netloc}")
    cross_site = {"method": _UNSAFE_METHODS, "header": {"Origin": ["*"]}, "not": [{"header": {"Origin": own}}]}
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": ui.upstream}],
        "headers": {
            # the UI gets its own host name, whichever name users have for this machine, and never the password
            "request": {"set": {"Host": [ui.upstream]}, "delete": ["Authorization", "Origin"]},
            **without_server,
        },
    }
    refusal = {"handler": "error", "status_code": 403}
    return [{"handle": [login]}, {"match": [cross_site], "handle": [refusal]}, {"handle": [proxy]}]
