"""What deposit adds to Airflow's UI: the page `Deposit`, and links to the other parts of the stack."""

from collections.abc import Callable
from typing import Any

from airflow.api_fastapi.core_api.security import get_user
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from deposit import overview
from deposit.errors import DataError, DepositError, SourceError
from deposit.overview import CARD_POLICY, POLICY, REPORT_POLICY, page
from deposit.settings import load_settings, open_settings

PREFIX = "/deposit"
TITLES = {
    "api": "Whom to call",
    "mlflow": "Experiments (MLflow)",
    "grafana": "Dashboards (Grafana)",
    "store": "Object store",
}
"""Each address in the settings' section `links` with the text of its link."""

# Airflow leaves it to a plugin to ask who somebody is
app = FastAPI(dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)
APPS: list[dict[str, Any]] = [{"app": app, "url_prefix": PREFIX, "name": "deposit"}]


@app.get("/")
def index() -> HTMLResponse:
    """The champion, the steps of the loop, and the verdicts of the last periods."""
    try:
        html = page(overview.load_overview(load_settings()))
    except DepositError as error:
        raise HTTPException(503, str(error)) from error
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})


@app.get("/reports/{period}/{model_id}")
def report(period: str, model_id: str) -> HTMLResponse:
    """Evidently's report of one model's period."""
    return _stored(lambda: overview.report(load_settings(), period, model_id), REPORT_POLICY)


@app.get("/cards/{model_id}")
def card(model_id: str) -> HTMLResponse:
    """The card of a released model."""
    return _stored(lambda: overview.card(load_settings(), model_id), CARD_POLICY)


def _stored(read: Callable[[], bytes], policy: str) -> HTMLResponse:
    """A page that the store holds."""
    try:
        html = read()
    except (DataError, SourceError) as error:
        raise HTTPException(404, str(error)) from error
    except DepositError as error:
        raise HTTPException(503, str(error)) from error
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def views() -> list[dict[str, str]]:
    """The page, which opens inside the UI, and a link for each address that is set, which opens beside it."""
    addresses = open_settings().links
    links = [
        {"name": title, "href": href, "destination": "nav", "category": "deposit"}
        for name, title in TITLES.items()
        if (href := getattr(addresses, name))
    ]
    inside = {
        "name": "Deposit",
        "href": f"{PREFIX}/",
        "destination": "nav",
        "category": "deposit",
        "url_route": "deposit",
    }
    return [inside, *links]


class DepositPlugin(AirflowPlugin):
    """The page and the links, in the navigation."""

    name = "deposit"
    fastapi_apps = APPS
    external_views = views()
