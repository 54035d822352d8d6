"""A part of the stack without Docker, started under its real supervisor as `deposit up` does it."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deposit.deploy.credentials import credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local import lifecycle, supervision
from deposit.deploy.local.programs import programs
from deposit.deploy.local.refused_settings import require_possible
from deposit.progress import log_progress
from deposit.settings import Settings, chosen_settings, load_settings

_WAIT = 60


def up(parts: Collection[str]) -> Settings:
    """`deposit up` with these parts alone; the settings as a command in another shell reads them."""
    settings = chosen_settings()
    place = Layout(settings.state.root)
    place.make()
    secrets = credentials(place.secrets)
    require_possible(settings, place, secrets)
    supervision.make_way(place, {}, log_progress)
    chosen = [part for part in programs(settings, place, secrets) if part.name in parts]
    lifecycle._lay_out(settings, place, secrets)
    lifecycle._begin(
        place, chosen, lambda: lifecycle._prepare_servers(settings.stack, settings.store, secrets), log_progress
    )
    lifecycle._start(place, chosen, list(parts), log_progress)
    return load_settings()


@contextmanager
def stack_environment(free_ports: Callable[[int], int]) -> Iterator[dict[str, str]]:
    """Variables of one stack, and its end."""
    # sockets' paths must be short
    folder = Path(tempfile.mkdtemp(prefix="dep-"))
    ports = free_ports(30)
    names = ("gateway", "airflow", "mlflow", "store", "postgres", "evidently", "internal")
    try:
        yield {
            "DEPOSIT_STATE_DIR": str(folder),
            "DEPOSIT_RELEASE__FIRST_PORT": str(ports + 20),
            "DEPOSIT_RELEASE__POLL_SECONDS": "0.1",
            "DEPOSIT_RELEASE__DRAIN_SECONDS": "2",
            **{f"DEPOSIT_STACK__{name.upper()}_PORT": str(ports + number) for number, name in enumerate(names)},
        }
    finally:
        _end(Layout(folder))
        shutil.rmtree(folder)


def _end(place: Layout) -> None:
    if supervision.running(place):
        supervisor = psutil.Process(int((place.supervisor / "supervisord.pid").read_text()))
        family = [supervisor, *supervisor.children(recursive=True)]
        supervision.supervisor(place).call("stopProcess", "postgres")
        for process in family:  # the object store would take 15 s to end by itself
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, _WAIT)
