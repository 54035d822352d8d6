"""The supervisor of the stack without Docker: its configuration, its start and end, its XML-RPC."""

import hashlib
import os
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
from deposit.errors import UpstreamError
from deposit.files import replace_file
from deposit.progress import Progress
from deposit.release.targets.environment import script
from deposit.release.targets.supervisor import STOP_SECONDS, Faults, Supervisor
from deposit.waiting import wait_until

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_ALIVE = ("RUNNING", "STARTING", "STOPPING", "BACKOFF")
FOUNDATION = ("postgres", "objectstore")
"""Parts that all others lean on: first to start, last to stop."""
UNSUPERVISED = "UNSUPERVISED"
"""The state, beside those of supervisor's own, of a part that goes on though supervisor was killed."""
_RETRIES = {True: 10, False: 3}
"""How often a part is started that ends at once, by whether it is needed: `up` waits until supervisor gives up."""


def configuration(layout: Layout, programs: list[Program]) -> str:
    """Supervisord's configuration: paths below the folder that it works in, programs as scripts beside it.

    So nothing of the folder's own path is in it, which may hold what supervisor's files cannot quote.
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
    """Start supervisord (no part yet), or let a running one take the configuration. Raises UpstreamError."""
    runs = running(layout)
    if runs and processes.mark_of(_daemon(layout)) != str(layout.root):
        stop(layout)  # the folder was moved under its feet: its parts hold the paths of before
        runs = False
    for program in programs:
        write_private(layout.supervisor / f"{program.name}.sh", script(program.command, program.environment))
    configuration_file = layout.supervisor / "supervisord.conf"
    write_private(configuration_file, configuration(layout, programs))
    if runs:
        _take_changes(layout)
        return
    _settle_in(layout)
    command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(configuration_file.relative_to(layout.root))]
    environment = own_environment(layout)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=layout.root)
    if done.returncode or not wait_until(lambda: running(layout), 20, pause=0.1):
        raise UpstreamError(f"the supervisor does not start: {done.stderr.strip() or 'no answer'}; see {layout.logs}")


def make_way(layout: Layout, ports: dict[str, int], progress: Progress) -> None:
    """Before a start: end what goes on of this stack though its supervisor was killed.

    Raises ConfigError if others hold one of the `ports`, which are given by the settings that move them.
    """
    if running(layout):
        return
    if processes.by_part(layout.root):
        progress("ending what goes on though its supervisor was killed")
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
    """The one of this stack."""
    return Supervisor(layout.supervisor_socket)


def start_program(layout: Layout, name: str) -> None:
    """Start one part unless it runs; does not wait until it is ready."""
    try:
        supervisor(layout).call("startProcess", name, False, ignore=(Faults.ALREADY_STARTED,))
    except UpstreamError as error:
        raise UpstreamError(f"{name} does not start ({error}): see {layout.logs}/{name}.log") from error


def states(layout: Layout) -> list[dict[str, Any]]:
    """Supervisor's view of every part: name, statename, pid. Where it was killed, what goes on without it."""
    if not running(layout):
        left = processes.by_part(layout.root)
        return [{"name": name, "statename": UNSUPERVISED, "pid": pid} for name, pid in left.items()]
    programs: list[dict[str, Any]] = supervisor(layout).call("getAllProcessInfo")
    return programs


def stop(layout: Layout) -> None:
    """Stop every part and the supervisor, and wait until none of their processes is left."""
    if not running(layout):
        _remove_leftovers(layout)
        return
    daemon = _daemon(layout)
    family = [daemon, *daemon.children(recursive=True)]
    # all at once, and what they lean on after them; supervisor's own shutdown goes one by one
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
        with suppress(UpstreamError):  # it ended by itself meanwhile
            supervisor(layout).call("stopProcess", name, False)

    def are_stopped() -> bool:
        alive = {state["name"] for state in states(layout) if state["statename"] in _ALIVE}
        return not alive & set(names)

    wait_until(are_stopped, STOP_SECONDS + 5)


def _remove_leftovers(layout: Layout) -> None:
    """What outlived a killed supervisor, and the sockets."""
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
    # supervisor compares sections, not scripts, to see what has changed
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


def _settle_in(layout: Layout) -> None:
    """Drop what is of another folder: the services' programs, which the releaser writes anew, and old sockets."""
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
    """What all parts inherit: nothing of the caller's that could hold a secret, but its proxies.

    A folder for temporary files that is not there, or not to be written to, is left out: some parts would make it, or
    not work without.
    """
    plain = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if not os.access(plain.get("TMPDIR", ""), os.W_OK | os.X_OK):
        plain.pop("TMPDIR", None)
    own = {"PYTHONUNBUFFERED": "1", "TZ": "UTC", processes.MARK: str(layout.root)}
    return plain | proxies.variables(os.environ) | own
