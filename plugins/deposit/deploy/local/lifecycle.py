"""Start, stop and inspect the stack without Docker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deposit import keys
from deposit.deploy import airflow, objectstore, servers
from deposit.deploy.credentials import Credentials, admit_to_uis, credentials, random_credentials, write_private
from deposit.deploy.layout import Layout
from deposit.deploy.local import grafana, postgres, supervision
from deposit.deploy.local.programs import Program, programs, settings_of, wanted_ports
from deposit.deploy.local.refused_settings import report_unread, require_possible
from deposit.deploy.requirements import require_disk, require_limits
from deposit.errors import ConfigError, DepositError, UpstreamError
from deposit.files import exclusive
from deposit.progress import Progress, log_progress
from deposit.release import requests
from deposit.release.gateway import Gateway
from deposit.release.published_uis import USER as UI_USER
from deposit.sections import StackSettings, StoreSettings
from deposit.settings import REPOSITORY, Settings, load_settings
from deposit.variables import file_of
from deposit.waiting import retry_while_down, wait_until

START_TIMEOUT = 120.0
PREPARE_TIMEOUT = 30.0
_RUNS_DAGS = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor")


@dataclass(frozen=True)
class ServiceStatus:
    """The current state of one service."""

    name: str
    state: str
    pid: int | None
    url: str | None
    what: str


def up(settings: Settings, progress: Progress = log_progress) -> list[ServiceStatus]:
    """Start every service that does not run with these settings, and wait until all are ready. Idempotent.

    Args:
        settings: settings of the environment only (`chosen_settings`), so that unset variables have their defaults.
        progress: callback for each step.

    Raises ConfigError if a port is taken, the disk is full or a setting cannot be applied, and UpstreamError naming the
    log if a service does not start.
    """
    begin(settings, progress)
    return settle(progress)


def begin(settings: Settings, progress: Progress = log_progress) -> None:
    """Start every service, and wait only for those that DAG runs need. Raises as `up`.

    Starting a service takes seconds of processor time, so Airflow, which takes longest, starts before those that DAGs
    do not need.
    """
    require_limits()
    place = Layout(settings.state.root)
    with _writable(place):
        place.make()
    with _locked(place, progress):
        with _writable(place):
            settings = grafana.with_grafana(settings, place.root)
            require_disk(place.root)
            secrets = credentials(place.secrets)
            require_possible(settings, place, secrets)
            report_unread(REPOSITORY, progress)
            parts = programs(settings, place, secrets)
            supervision.make_way(place, wanted_ports(settings.stack), progress)
            _lay_out(settings, place, secrets)
        _begin(place, parts, lambda: _prepare_servers(settings.stack, settings.store, secrets), progress)
        progress("preparing Airflow's database")
        airflow.prepare(place, secrets, airflow.environment(settings, place, secrets))
        _start(place, parts, ["mlflow", *_RUNS_DAGS], progress)
        _start(place, parts, [part.name for part in parts], progress, wait=False)


def settle(progress: Progress = log_progress) -> list[ServiceStatus]:
    """Wait until all services are ready, after `begin`. Raises as `up`."""
    settings = load_settings()
    place = Layout(settings.state.root)
    parts = programs(settings, place, credentials(place.secrets))
    with _locked(place, progress):
        _start(place, parts, [part.name for part in parts], progress)
    _renew_code(settings, progress)
    return status(settings)


def down(place: Layout, progress: Progress = log_progress) -> None:
    """Stop every service; data stays."""
    if not place.root.exists():
        return
    with _locked(place, progress):
        progress("stopping the stack")
        supervision.stop(place)


def status(settings: Settings) -> list[ServiceStatus]:
    """All services with state (`running`, `starting`, `stopping`, `stopped`, `failed`, `unsupervised`), pid and URL."""
    place = Layout(settings.state.root)
    # a status request must not create secrets for a stack that was never started
    secrets = credentials(place.secrets) if place.secrets.exists() else random_credentials()
    by_name = {program.name: program for program in programs(settings, place, secrets)}
    seen = {info["name"]: info for info in supervision.states(place)}
    parts = []
    for name in dict.fromkeys((*by_name, *seen)):
        info, program = seen.get(name, {"statename": "", "pid": 0}), by_name.get(name)
        parts.append(
            ServiceStatus(
                name,
                _STATES.get(info["statename"], "stopped"),
                info["pid"] or None,
                program.url if program else None,
                program.description if program else "serves a model",
            )
        )
    return parts


def dashboards(stack: StackSettings, place: Layout, parts: list[ServiceStatus]) -> str:
    """Describe where dashboards and alerts are, or why there are none; `parts` is the result of `status`."""
    part = next((part for part in parts if part.name == "grafana"), None)
    if part is None:
        return (
            f"Dashboards and alerts are Grafana's: {grafana.reason_for_none(stack, place.root)} "
            "(docs/dashboards.md); Airflow's page Deposit shows verdicts and worth without."
        )
    if part.state == "failed":
        return f"Grafana does not start, all else does without it: {place.logs / 'grafana.log'} says why."
    return f"Dashboards and alerts: {part.url}, as {grafana.ADMIN} with GRAFANA_ADMIN_PASSWORD of `deposit env`."


_STATES = {
    "RUNNING": "running", "STARTING": "starting", "BACKOFF": "failed", "FATAL": "failed", "STOPPING": "stopping",
    supervision.UNSUPERVISED: "unsupervised",
}  # fmt: skip


def environment(settings: Settings) -> dict[str, str]:
    """The running stack's settings, including secrets, for the user at the terminal."""
    place = Layout(settings.state.root)
    if not place.secrets.exists():
        raise ConfigError(f"there is no stack in {place.root}: run `deposit up`")
    secrets = credentials(place.secrets)
    return settings_of(settings, place, secrets) | {
        "DEPOSIT_STATE_DIR": str(place.root),
        "AIRFLOW_ADMIN_USER": airflow.ADMIN,
        "AIRFLOW_ADMIN_PASSWORD": secrets.airflow_admin,
        # variables that MLflow's clients read; Evidently's UI has the same login
        "MLFLOW_TRACKING_USERNAME": UI_USER,
        "MLFLOW_TRACKING_PASSWORD": secrets.gateway_admin,
        "GRAFANA_ADMIN_USER": grafana.ADMIN,
        "GRAFANA_ADMIN_PASSWORD": secrets.grafana_admin,
    }


@contextmanager
def _locked(place: Layout, progress: Progress) -> Iterator[None]:
    """Hold the stack's lock: concurrent starts and stops would undo each other's changes."""
    with ExitStack() as lock:
        with suppress(OSError):  # on a full disk there is no lock file, and the stack must still be stopped
            message = "waiting for {}, which starts or stops this stack"
            lock.enter_context(exclusive(place.lock, lambda holder: progress(message.format(holder))))
        yield


@contextmanager
def _writable(place: Layout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write to {error.filename or place.root}: {error.strerror}; free some space, correct its "
            "permissions or set DEPOSIT_STATE_DIR"
        ) from error


def _lay_out(settings: Settings, place: Layout, secrets: Credentials) -> None:
    keys_of_store = objectstore.identities(settings.store, secrets)
    objectstore.configure(place, keys_of_store, secrets.store_admin, settings.stack.internal_port)
    write_private(place.settings_file, file_of(settings_of(settings, place, secrets)))
    if load_settings().serve.keys_file == place.keys:
        keys.make_open(place.keys)
    gateway = Gateway(load_settings())
    admit_to_uis(gateway.login_file, secrets.gateway_admin)
    gateway.prepare()
    if isinstance(settings.stack.grafana, Path):
        grafana.lay_out(place)
    postgres.initialise(place.cluster, secrets.postgres_superuser)


def _begin(place: Layout, parts: list[Program], prepare_servers: Callable[[], None], progress: Progress) -> None:
    """Start and prepare the foundation, then start what DAG runs need besides it, without waiting."""
    supervision.start(place, parts)
    _start(place, parts, list(supervision.FOUNDATION), progress)
    retry_while_down(prepare_servers, PREPARE_TIMEOUT)
    _start(place, parts, ["mlflow", "gateway"], progress, wait=False)
    # a gateway that was running still has its previous configuration, until the releaser's next poll
    retry_while_down(Gateway(load_settings()).repair, PREPARE_TIMEOUT)


def _prepare_servers(stack: StackSettings, store: StoreSettings, secrets: Credentials) -> None:
    servers.prepare_databases(f"127.0.0.1:{stack.postgres_port}", secrets)
    servers.prepare_buckets(store, f"http://127.0.0.1:{stack.store_port}", secrets)


def _renew_code(settings: Settings, progress: Progress) -> None:
    """Release the live model with the code of this version; if that fails, it goes on serving as it is."""
    try:
        if renewed := requests.request_renewed_code(settings, progress):
            requests.wait(settings.database, renewed.id, START_TIMEOUT, progress)
    except DepositError as error:
        progress(f"{error}; what serves goes on with the code that it was packaged with")


def _start(place: Layout, parts: list[Program], names: list[str], progress: Progress, wait: bool = True) -> None:
    chosen = [part for part in parts if part.name in names]
    for part in chosen:
        supervision.start_program(place, part.name)
    for number, part in enumerate(chosen, 1):
        if wait:
            progress(f"waiting for {part.name}", number, len(chosen))
            _wait_ready(place, part, progress)


def _wait_ready(place: Layout, part: Program, progress: Progress) -> None:
    try:
        if not wait_until(lambda: _runs(place, part) and part.answers(), START_TIMEOUT):
            raise UpstreamError(
                f"{part.name} is not ready after {START_TIMEOUT:.0f} s: see {place.logs}/{part.name}.log"
            )
    except UpstreamError as error:
        if part.needed:
            raise
        progress(f"{error}; all else goes on without it")


def _runs(place: Layout, part: Program) -> bool:
    info = supervision.supervisor(place).call("getProcessInfo", part.name)
    if info["statename"] == "FATAL":
        raise UpstreamError(f"{part.name} ends as soon as it starts: see {place.logs}/{part.name}.log")
    # supervisor reports RUNNING only after some seconds: for what others wait for, `settle` checks again at the end
    early = ["STARTING"] if part.name in supervision.FOUNDATION else []
    return info["statename"] in ["RUNNING", *early]
