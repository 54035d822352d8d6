"""Grafana of the stack without Docker: the installation on this machine, with the dashboards and alerts of compose."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deposit.deploy.credentials import Credentials, write_private
from deposit.deploy.layout import Layout
from deposit.deploy.local import processes
from deposit.errors import ConfigError
from deposit.sections import GatewaySettings, LinksSettings, StackSettings
from deposit.settings import REPOSITORY, Settings

ADMIN = "admin"
"""User name; Grafana keeps the password in its own database after the first start."""
_OLDEST = 12
"""The oldest major version that the dashboards support."""
_NAMES = ("grafana", "grafana-server")
"""Names of the program on the PATH; the second is its name before Grafana 9.2."""
_FILES = REPOSITORY / "grafana"
_REPLACEMENTS = {
    "postgres:5432": "$DATABASE_ADDRESS",
    "$__file{/run/deposit/database_password}": "$DATABASE_READER_PASSWORD",
    "/var/lib/deposit/dashboards": "$DASHBOARDS",
}
"""Texts in the provisioning files that are specific to compose, and the environment variables that replace them."""
_PACKAGED_PLUGINS = Path("/var/lib/grafana/plugins-bundled")
"""Where Debian and Red Hat packages may keep the data source's plugin; others have it in Grafana's home."""
_SECONDS = 30
"""Timeout of the program when it prints its version."""
_NO_WEBHOOK = "http://127.0.0.1:9/"
"""Address of the contact point if no webhook is set: without an address Grafana would not start."""
_FIXED = {
    "GF_LOG_MODE": "console",
    "GF_SERVER_HTTP_ADDR": "127.0.0.1",
    "GF_METRICS_ENABLED": "false",
    "GF_SECURITY_ADMIN_USER": ADMIN,
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    # no requests to the internet
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
}
"""Configuration that is the same in every stack."""


@dataclass(frozen=True)
class Installation:
    """A Grafana installation on this machine: its program, and the folder with `conf` and `public`."""

    program: Path
    home: Path

    @classmethod
    def of(cls, program: Path) -> "Installation | None":
        """The installation of a program, from an archive, a Linux package or Homebrew; None if it is not Grafana's."""
        if not os.access(program, os.X_OK) or program.is_dir():
            return None
        real = program.resolve()
        for home in (real.parent.parent, *(each.parent.parent / "share" / "grafana" for each in (real, program))):
            if (home / "conf" / "defaults.ini").exists():
                return cls(program, home)
        return None

    @property
    def command(self) -> list[str]:
        """The server's command line; it skips a package's start script, which would use the machine's configuration."""
        own = self.home / "bin" / "grafana"
        binary = own if os.access(own, os.X_OK) else self.program
        server = [] if binary.name == "grafana-server" else ["server"]
        return [str(binary), *server, f"--homepath={self.home}", f"--config={os.devnull}"]

    def version(self) -> str:
        """The version that the program prints. Raises ConfigError if it fails, or is too old for the dashboards."""
        try:
            done = subprocess.run([*self.command, "-v"], capture_output=True, text=True, check=False, timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(
                f"{self.program} does not run ({error}): set DEPOSIT_STACK__GRAFANA to another program"
            ) from error
        version = re.search(r"(\d+)\.\d+\.\d+\S*", done.stdout)
        if version is None:
            raise ConfigError(f"{self.program} prints no version: set DEPOSIT_STACK__GRAFANA to another program")
        if int(version[1]) < _OLDEST:
            raise ConfigError(
                f"{self.program} is Grafana {version[0]}, the dashboards need {_OLDEST}: install a newer one"
            )
        return version[0]


def on_path() -> Installation | None:
    """The installation whose program is on the PATH; None if there is none."""
    for name in _NAMES:
        program = shutil.which(name)
        if program and (there := Installation.of(Path(program).absolute())):
            return there
    return None


def installation(stack: StackSettings) -> Installation | None:
    """The installation that the settings name; None if they name none."""
    program = stack.grafana
    return Installation.of(program) if isinstance(program, Path) else None


def with_grafana(settings: Settings, root: Path) -> Settings:
    """The settings with the program on the PATH if they name none, unless another process holds Grafana's port.

    Args:
        settings: settings of the environment only.
        root: state folder of the stack, whose own Grafana may hold the port.

    Raises ConfigError if the settings name a program that is not Grafana.
    """
    program = settings.stack.grafana
    if program is None:
        there = on_path()
        if there is None or _held_by_a_stranger(settings.stack.grafana_port, root):
            return settings
        return settings.changed("stack", grafana=there.program)
    if isinstance(program, Path) and Installation.of(program) is None:
        raise ConfigError(
            f"{program} is no Grafana in its own folder: set DEPOSIT_STACK__GRAFANA to its bin/grafana, or to `off`"
        )
    return settings


def reason_for_none(stack: StackSettings, root: Path) -> str:
    """Describe why the stack has no Grafana, and what to do about it."""
    if stack.grafana == "off":
        return "none is started, because DEPOSIT_STACK__GRAFANA is `off`"
    there, port = on_path(), stack.grafana_port
    if there is None:
        return "none is installed here (no `grafana` on the PATH, none named by DEPOSIT_STACK__GRAFANA)"
    if _held_by_a_stranger(port, root):
        return f"port {port} is taken: set DEPOSIT_STACK__GRAFANA_PORT to a free one and run `deposit up`"
    return f"`deposit up` starts the one at {there.program}"


def environment(settings: Settings, layout: Layout, secrets: Credentials, port: int) -> dict[str, str]:
    """Grafana's configuration as environment variables; contains secrets.

    Args:
        settings: settings of the stack.
        layout: paths of the stack.
        secrets: secrets of the stack: the passwords of the role `reader` and of Grafana's admin are used.
        port: port on 127.0.0.1, where the gateway reaches Grafana.
    """
    folder, webhook = layout.grafana, settings.monitor.webhook_url
    bundled = {"GF_PATHS_BUNDLED_PLUGINS": str(_PACKAGED_PLUGINS)} if _has_packaged_plugins(settings.stack) else {}
    return _FIXED | bundled | {
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(_provisioned(layout)),
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_SERVER_ROOT_URL": f"{url(settings.stack, settings.gateway, settings.links)}/",
        "GF_SECURITY_ADMIN_PASSWORD": secrets.grafana_admin,
        "GF_SECURITY_COOKIE_SECURE": str(settings.gateway.tls != "off").lower(),
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(_FILES / "dashboards" / "service.json"),
        "DASHBOARDS": str(_FILES / "dashboards"),
        "DATABASE_ADDRESS": f"127.0.0.1:{settings.stack.postgres_port}",
        "DATABASE_READER_PASSWORD": secrets.postgres_reader,
        "ALERT_WEBHOOK_URL": webhook.get_secret_value() if webhook else _NO_WEBHOOK,
    }  # fmt: skip


def url(stack: StackSettings, gateway: GatewaySettings, links: LinksSettings) -> str:
    """The URL that people open, without a trailing slash."""
    return (links.grafana or gateway.url(stack.grafana_port)).rstrip("/")


def provisioning() -> dict[str, str]:
    """Grafana's provisioning files by relative path: those of compose, with this stack's addresses and paths."""
    source = _FILES / "provisioning"
    files = {}
    for path in sorted(source.rglob("*.yaml")):
        text = path.read_text()
        for of_compose, variable in _REPLACEMENTS.items():
            text = text.replace(of_compose, variable)
        files[str(path.relative_to(source))] = text
    return files


def lay_out(layout: Layout) -> None:
    """Replace Grafana's provisioning folder."""
    shutil.rmtree(_provisioned(layout), ignore_errors=True)
    for name, text in provisioning().items():
        path = _provisioned(layout) / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, text)


def _provisioned(layout: Layout) -> Path:
    return layout.grafana / "provisioning"


def _has_packaged_plugins(stack: StackSettings) -> bool:
    there = installation(stack)
    return there is not None and not (there.home / "data" / "plugins-bundled").exists() and _PACKAGED_PLUGINS.exists()


def _held_by_a_stranger(port: int, root: Path) -> bool:
    """Whether a process outside this stack listens on a port."""
    if processes.is_free(port):
        return False
    process = processes.holder(port)
    stack = processes.stack_of(process) if process else None
    return stack is None or stack[0] != root
