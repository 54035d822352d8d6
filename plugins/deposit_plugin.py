"""Plugin for Airflow's UI: the page `Deposit`, and links to the other services of the stack."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_access_view
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.status import HTTP_401_UNAUTHORIZED

from deposit.errors import DataError, DepositError, SourceError
from deposit.overview import stored_pages
from deposit.overview.markup import ASSETS, CARD_POLICY, POLICY, REPORT_POLICY, page
from deposit.overview.snapshot import read_snapshot
from deposit.overview.triggers import triggers_for
from deposit.settings import load_settings, open_settings
from deposit.store import Bucket, ObjectStore

PREFIX = "/deposit"
TITLES = {
    "api": "Whom to call",
    "mlflow": "Experiments (MLflow)",
    "grafana": "Dashboards (Grafana)",
    "store": "Object store",
}
"""Link texts by the settings in the section `links`."""

# Airflow does not authenticate or authorise requests to a plugin's app: the app must do so itself
app = FastAPI(
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))], docs_url=None, redoc_url=None, openapi_url=None
)
APPS: list[dict[str, Any]] = [{"app": app, "url_prefix": PREFIX, "name": "deposit"}]


@app.exception_handler(HTTPException)
async def handle_error(request: Request, error: HTTPException) -> Response:
    """Answer with JSON, or redirect a browser without a login to Airflow's login page, and from there back."""
    if error.status_code == HTTP_401_UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        requested = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(get_auth_manager().get_url_login(next_url=requested), 303)
    return await http_exception_handler(request, error)


@app.get("/")
def index(request: Request, user: GetUserDep) -> HTMLResponse:
    """The overview page, with what can be read if a server is down, and the buttons that this user may press."""
    try:
        settings = load_settings()
    except DepositError as error:
        raise HTTPException(503, str(error)) from error
    snapshot = read_snapshot(settings)
    triggers = [each for each in triggers_for(snapshot) if _may_run(request, user, each.dag)]
    html = page(snapshot, triggers, _links(), datetime.now(UTC))
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})


@app.get("/assets/{name}")
def asset(name: str) -> FileResponse:
    """A style sheet or script of the page."""
    if name not in ASSETS:
        raise HTTPException(404, f"the page has no file {name!r}")
    # revalidated on every request, so that an upgrade takes effect at once; the ETag makes that cheap
    return FileResponse(ASSETS[name], headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})


@app.get("/reports/{period}/{model_id}")
def report(period: str, model_id: str) -> HTMLResponse:
    """Evidently's report on a model in a period."""
    return _stored(lambda: stored_pages.report(_reports(), period, model_id), REPORT_POLICY)


@app.get("/cards/{model_id}")
def card(model_id: str) -> HTMLResponse:
    """The model card of a released model."""
    return _stored(lambda: stored_pages.card(_reports(), model_id), CARD_POLICY)


def _reports() -> Bucket:
    """The bucket of reports and model cards."""
    return ObjectStore(load_settings().store).reports


def _may_run(request: Request, user: BaseUser, dag: str) -> bool:
    """Whether Airflow lets this user trigger the DAG, by the same check as in its REST API."""
    try:
        requires_access_dag("POST", DagAccessEntity.RUN, dag)(request, user)
    except HTTPException:
        return False
    return True


def _stored(read: Callable[[], bytes], policy: str) -> HTMLResponse:
    """A page from the object store; responds with 404 if it does not exist, 503 if the store fails."""
    try:
        html = read()
    except (DataError, SourceError) as error:
        raise HTTPException(404, str(error)) from error
    except DepositError as error:
        raise HTTPException(503, str(error)) from error
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _links() -> dict[str, str]:
    """The URLs that are set, by link text."""
    addresses = open_settings().links
    return {title: href for name, title in TITLES.items() if (href := getattr(addresses, name))}


def views() -> list[dict[str, str]]:
    """Airflow's navigation entries: the page, which opens inside the UI, and an external link for each URL."""
    links = [
        {"name": title, "href": href, "destination": "nav", "category": "deposit"} for title, href in _links().items()
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
    """Registers the page and the links in Airflow's navigation."""

    name = "deposit"
    fastapi_apps = APPS
    external_views = views()
