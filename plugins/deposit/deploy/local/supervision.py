"""Supervisor in the stack without Docker: its configuration, start, stop, and calls of its XML-RPC API."""

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from deposit import proxies
from deposit.deploy.credentials import write_private
from deposit.deploy.layout import Layout
from deposit.deploy.local import processes
from deposit.deploy.local.programs import Program
from deposit.deploy.requirements import TEMPORARY_DISK
from deposit.errors import UpstreamError
from deposit.files import replace_file
from deposit.progress import Progress
from deposit.release.targets.environment import script
from deposit.release.targets.supervisor import STOP_SECONDS, Faults, Supervisor
from deposit.waiting import wait_until

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_ALIVE = ("RUNNING", "STARTING", "STOPPING", "BACKOFF")
FOUNDATION = ("postgres", "objectstore")
"""Programs that all others depend on: first to start, last to stop."""
UNSUPERVISED = "UNSUPERVISED"
"""State, in addition to supervisor's own, of a program that still runs after supervisor was killed."""
_RETRIES = {True: 10, False: 3}
"""Start retries of a program, by whether it is needed: `up` waits until supervisor gives up."""


def configuration(layout: Layout, programs: list[Program]) -> str:
    """Supervisord's configuration, with paths relative to its working directory and programs in separate scripts.

    It does not contain the path of the state folder, which may have characters that supervisor's format cannot quote.
    """
    logs, own = layout.logs.relative_to(layout.root), layout.supervisor.relative_to(layout.root)
    head = f"""[supervisord]
logfile={logs}/supervisord.log
pidfile={own}/supervisord.pid
childlogdir={logs}
umask=077
silent=true
[unix_http_server]
file={layout.supervisor_socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files={layout.services.relative_to(layout.supervisor)}/*.conf
"""
    return head + "".join(_section(layout, program) for program in programs)


def start(layout: Layout, programs: list[Program]) -> None:
    """Start supervisord without any program, or have a running one reload its configuration. Raises UpstreamError."""
    runs = running(layout)
    if runs and processes.mark_of(_daemon(layout)) != str(layout.root):
        stop(layout)  # the folder was moved while it ran: its programs use the old paths
        runs = False
    for program in programs:
        write_private(layout.supervisor / f"{program.name}.sh", script(program.command, program.environment))
    configuration_file = layout.supervisor / "supervisord.conf"
    write_private(configuration_file, configuration(layout, programs))
    if runs:
        _take_changes(layout)
        return
    _drop_stale_state(layout)
    command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(configuration_file.relative_to(layout.root))]
    environment = own_environment(layout)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=layout.root)
    if done.returncode or not wait_until(lambda: running(layout), 20, pause=0.1):
        raise UpstreamError(f"the supervisor does not start: {done.stderr.strip() or 'no answer'}; see {layout.logs}")


def make_way(layout: Layout, ports: dict[str, int], progress: Progress) -> None:
    """Before a start: end the programs of this stack that outlived a killed supervisor, and check its ports.

    Raises ConfigError if another process holds one of the `ports`, given by the settings that change them.
    """
    if running(layout):
        return
    if processes.by_part(layout.root):
        progress("ending the programs that still run although their supervisor was killed")
    processes.end_all(layout.root, STOP_SECONDS)
    processes.require_free(ports)


def running(layout: Layout) -> bool:
    """Whether supervisord answers."""
    if not layout.supervisor_socket.exists():
        return False
    try:
        supervisor(layout).call("getState")
    except UpstreamError:
        return False
    return True


def supervisor(layout: Layout) -> Supervisor:
    """A client of this stack's supervisord."""
    return Supervisor(layout.supervisor_socket)


def start_program(layout: Layout, name: str) -> None:
    """Start one program unless it runs, without waiting until it is ready."""
    try:
        supervisor(layout).call("startProcess", name, False, ignore=(Faults.ALREADY_STARTED,))
    except UpstreamError as error:
        raise UpstreamError(f"{name} does not start ({error}): see {layout.logs}/{name}.log") from error


def states(layout: Layout) -> list[dict[str, Any]]:
    """Name, statename and pid of every program; if supervisord was killed, of those that still run."""
    if not running(layout):
        left = processes.by_part(layout.root)
        return [{"name": name, "statename": UNSUPERVISED, "pid": pid} for name, pid in left.items()]
    programs: list[dict[str, Any]] = supervisor(layout).call("getAllProcessInfo")
    return programs


def stop(layout: Layout) -> None:
    """Stop every program and supervisord, and wait until none of their processes is left."""
    if not running(layout):
        _remove_leftovers(layout)
        return
    daemon = _daemon(layout)
    family = [daemon, *daemon.children(recursive=True)]
    # all at once, then the foundation; supervisor's own shutdown stops one program after the other
    names = [state["name"] for state in states(layout) if state["statename"] in _ALIVE]
    for group in ([name for name in names if name not in FOUNDATION], [name for name in names if name in FOUNDATION]):
        _stop_programs(layout, group)
    supervisor(layout).call("shutdown")
    _, alive = psutil.wait_procs(family, timeout=60)
    for process in alive:
        process.kill()
    _remove_leftovers(layout)


def _stop_programs(layout: Layout, names: list[str]) -> None:
    for name in names:
        with suppress(UpstreamError):  # it ended by itself in the meantime
            supervisor(layout).call("stopProcess", name, False)

    def are_stopped() -> bool:
        alive = {state["name"] for state in states(layout) if state["statename"] in _ALIVE}
        return not alive & set(names)

    wait_until(are_stopped, STOP_SECONDS + 5)


def _remove_leftovers(layout: Layout) -> None:
    """End programs that outlived a killed supervisor, and remove the sockets."""
    processes.end_all(layout.root, STOP_SECONDS)
    layout.clear_sockets()


def _daemon(layout: Layout) -> psutil.Process:
    return psutil.Process(supervisor(layout).call("getPID"))


def _take_changes(layout: Layout) -> None:
    call = supervisor(layout).call
    added, changed, removed = call("reloadConfig")[0]
    for group in [*changed, *removed]:
        supervisor(layout).take_off(group)
    for group in [*added, *changed]:
        call("addProcessGroup", group)


def _section(layout: Layout, program: Program) -> str:
    # supervisor detects changes in sections, not in scripts
    digest = hashlib.sha256(script(program.command, program.environment).encode()).hexdigest()
    logs, own = layout.logs.relative_to(layout.root), layout.supervisor.relative_to(layout.root)
    return f"""[program:{program.name}]
command=/bin/sh {own}/{program.name}.sh
environment=SCRIPT_SHA256="{digest}"
autostart=false
autorestart=true
startsecs=2
startretries={_RETRIES[program.needed]}
stopsignal={program.stop_signal}
stopwaitsecs={STOP_SECONDS}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{program.name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _drop_stale_state(layout: Layout) -> None:
    """Remove old sockets and, if the state folder was moved or copied, the services' sections.

    The releaser writes these sections again.
    """
    record, place = layout.supervisor / "place", os.fsencode(layout.root)
    before = record.read_bytes() if record.exists() else None
    if before != place:
        for path in (layout.services).iterdir():
            path.unlink()
        if before is not None and not Path(os.fsdecode(before)).exists():  # moved, not copied
            Layout(Path(os.fsdecode(before))).clear_sockets()
    layout.clear_sockets()
    replace_file(record, place)
    layout.make()


def own_environment(layout: Layout) -> dict[str, str]:
    """Environment that all programs inherit: of the caller's, only proxies and variables that cannot hold a secret.

    TMPDIR is left out if it is missing, not writable or nearly full: some programs would create it, or fail.
    """
    plain = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    temporary = plain.get("TMPDIR", "")
    if not os.access(temporary, os.W_OK | os.X_OK) or shutil.disk_usage(temporary).free < TEMPORARY_DISK:
        plain.pop("TMPDIR", None)
    own = {"PYTHONUNBUFFERED": "1", "TZ": "UTC", processes.MARK: str(layout.root)}
    return plain | proxies.variables(os.environ) | own
