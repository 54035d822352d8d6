"""A real Caddy with the gateway's configuration, on ports of its own."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos import until

from deposit.deploy.credentials import admit_to_uis
from deposit.release.gateway import Gateway
from deposit.sections import GatewaySettings, ReleaseSettings, StackSettings
from deposit.settings import Settings

CADDY = Path(sys.executable).with_name("caddy")
PASSWORD = "hush-4711"


@contextmanager
def gateway(free_ports: Callable[[int], int], service: str, **given: Any) -> Iterator[tuple[Settings, str]]:
    """A running one, and its address."""
    # sockets' paths must be short
    folder = Path(tempfile.mkdtemp(prefix="dep-"))
    port = free_ports(4)
    settings = Settings(
        state_dir=folder,
        gateway=GatewaySettings(**given),
        release=ReleaseSettings(gateway_admin=str(folder / "admin.sock")),
        stack=StackSettings(gateway_port=port, mlflow_port=port + 1, evidently_port=port + 2, dask_port=port + 3),
    )
    prepared = Gateway(settings)
    admit_to_uis(prepared.login_file, PASSWORD)
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(CADDY), "run", "--config", str(prepared.prepare())], env=environment, stdout=log, stderr=log
        )
    try:
        until(prepared.answers)
        prepared.point_to((service,))
        yield settings, f"https://localhost:{settings.stack.gateway_port}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)
