"""UIs that the gateway publishes: those of MLflow, Evidently and Dask behind its login, Grafana, which has its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deposit.sections import GatewaySettings, LinksSettings, StackSettings

USER = "admin"
"""Who logs in."""
NO_LOGIN = (
    "this page needs the login of MLflow, Evidently and Dask, which `make credentials` prints, and without Docker "
    "`deposit env`"
)
_CHANGING = ["POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class PublishedUi:
    """A UI: the port where people reach it, the `host:port` where the gateway does, the URL people are given if set.

    One with `own_login` gets none of the gateway's.
    """

    name: str
    port: int
    upstream: str
    link: str | None = None
    own_login: bool = False


def published_uis(gateway: GatewaySettings, stack: StackSettings, links: LinksSettings) -> list[PublishedUi]:
    """Those that the settings put behind the gateway."""
    mlflow = [PublishedUi("mlflow", stack.mlflow_port, gateway.mlflow, links.mlflow)] if gateway.mlflow else []
    evidently = [PublishedUi("evidently", stack.evidently_port, gateway.evidently)] if gateway.evidently else []
    dask = [PublishedUi("dask", stack.dask_port, gateway.dask)] if gateway.dask else []
    grafana = [PublishedUi("grafana", stack.grafana_port, gateway.grafana, own_login=True)] if gateway.grafana else []
    return mlflow + evidently + dask + grafana


def ui_routes(ui: PublishedUi, login_file: Path) -> list[dict[str, Any]]:
    """Caddy's routes of one UI: the login, no change asked for by pages of elsewhere, the UI.

    A browser that has logged in sends the password along whoever's page asks, so a page's origin must be the UI's own.
    A UI with a login of its own sees to both itself, by the host and the origin that browsers send.
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
    foreign = {"method": _CHANGING, "header": {"Origin": ["*"]}, "not": [{"header": {"Origin": own}}]}
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": ui.upstream}],
        "headers": {
            # the UI is asked by its own name, whatever people call this machine, and never sees the password
            "request": {"set": {"Host": [ui.upstream]}, "delete": ["Authorization", "Origin"]},
            **without_server,
        },
    }
    refusal = {"handler": "error", "status_code": 403}
    return [{"handle": [login]}, {"match": [foreign], "handle": [refusal]}, {"handle": [proxy]}]
