"""The supervisor of the stack without Docker: its configuration, its start and end, its XML-RPC."""

import os
import subprocess
import sys
import time
import xmlrpc.client
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deposit.errors import UpstreamError
from deposit.stack.credentials import write_private
from deposit.stack.layout import Layout
from deposit.stack.programs import Program

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_MARK = "STACK_OF_DEPOSIT"
_ALIVE = ("RUNNING", "STARTING", "STOPPING", "BACKOFF")
FOUNDATION = ("postgres", "objectstore")
"""Parts that all others lean on: first to start, last to stop."""
STOP_SECONDS = 20
_UNREACHABLE = (OSError, HTTPException, xmlrpc.client.ProtocolError)


def configuration(layout: Layout, programs: list[Program]) -> str:
    """Supervisord's configuration; holds the parts' environments, so it is written for its owner alone."""
    head = f"""[supervisord]
logfile={layout.logs}/supervisord.log
pidfile={layout.supervisor}/supervisord.pid
childlogdir={layout.logs}
directory={layout.root}
silent=true
[unix_http_server]
file={layout.supervisor_socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files={layout.supervisor}/conf.d/*.conf
"""
    return head + "".join(_section(layout, program) for program in programs)


def start(layout: Layout, programs: list[Program]) -> None:
    """Start supervisord (no part yet), or let a running one take the configuration. Raises UpstreamError."""
    config = layout.supervisor / "supervisord.conf"
    write_private(config, configuration(layout, programs))
    if running(layout):
        _take_changes(layout)
        return
    command = [str(Path(sys.executable).parent / "supervisord"), "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_own_environment(layout))
    deadline = time.monotonic() + 20
    while not running(layout):
        if done.returncode or time.monotonic() > deadline:
            raise UpstreamError(
                f"the supervisor does not start: {done.stderr.strip() or 'no answer'}; see {layout.logs}"
            )
        time.sleep(0.1)


def running(layout: Layout) -> bool:
    """Whether supervisord answers."""
    if not layout.supervisor_socket.exists():
        return False
    try:
        client(layout).getState()
    except _UNREACHABLE:
        return False
    return True


def client(layout: Layout) -> Any:
    """Supervisord's XML-RPC interface."""
    transport = SupervisorTransport(None, None, serverurl=f"unix://{layout.supervisor_socket}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def start_program(layout: Layout, name: str) -> None:
    """Start one part unless it runs; does not wait until it is ready."""
    try:
        client(layout).startProcess(name, False)
    except xmlrpc.client.Fault as fault:
        if "ALREADY_STARTED" not in fault.faultString:
            raise UpstreamError(f"{name} does not start ({fault.faultString}): see {layout.logs}/{name}.log") from fault


def states(layout: Layout) -> list[dict[str, Any]]:
    """Supervisor's view of every part: name, statename, pid, description."""
    found: list[dict[str, Any]] = client(layout).getAllProcessInfo()
    return found


def stop(layout: Layout) -> None:
    """Stop every part and the supervisor, and wait until none of their processes is left."""
    pid_file = layout.supervisor / "supervisord.pid"
    if not running(layout):
        _remove_leftovers(layout)
        return
    supervisor = psutil.Process(int(pid_file.read_text()))
    family = [supervisor, *supervisor.children(recursive=True)]
    # all at once, and what they lean on after them; supervisor's own shutdown goes one by one
    names = [state["name"] for state in states(layout) if state["statename"] in _ALIVE]
    for group in ([name for name in names if name not in FOUNDATION], [name for name in names if name in FOUNDATION]):
        _stop_programs(layout, group)
    client(layout).shutdown()
    _, alive = psutil.wait_procs(family, timeout=60)
    for process in alive:
        process.kill()
    _remove_leftovers(layout)


def _stop_programs(layout: Layout, names: list[str]) -> None:
    rpc = client(layout)
    for name in names:
        with suppress(xmlrpc.client.Fault):  # it ended by itself meanwhile
            rpc.stopProcess(name, False)
    deadline = time.monotonic() + STOP_SECONDS + 5
    while time.monotonic() < deadline:
        alive = {state["name"] for state in states(layout) if state["statename"] in _ALIVE}
        if not alive & set(names):
            return
        time.sleep(0.2)


def _remove_leftovers(layout: Layout) -> None:
    """End processes of this stack that outlived a killed supervisor."""
    left = [process for process in psutil.process_iter() if process.pid != os.getpid() and _is_ours(layout, process)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=STOP_SECONDS)[1]:
        process.kill()


def _is_ours(layout: Layout, process: psutil.Process) -> bool:
    """By the mark that all parts inherit, or, where a process title has overwritten that, by where it works.

    A person's shell in the state folder has a terminal; no part has.
    """
    try:
        if process.environ().get(_MARK) == str(layout.root):
            return True
        return Path(process.cwd()).is_relative_to(layout.root) and process.terminal() is None
    except psutil.Error:
        return False


def _take_changes(layout: Layout) -> None:
    rpc = client(layout)
    added, changed, removed = rpc.reloadConfig()[0]
    for group in [*changed, *removed]:
        rpc.stopProcessGroup(group)
        rpc.removeProcessGroup(group)
    for group in [*added, *changed]:
        rpc.addProcessGroup(group)


def _section(layout: Layout, program: Program) -> str:
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in program.environment.items())
    return f"""[program:{program.name}]
command={_escape(" ".join(_quoted(part) for part in program.command))}
environment={pairs}
autostart=false
autorestart=true
startsecs=2
startretries=10
stopsignal={program.stop_signal}
stopwaitsecs={STOP_SECONDS}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={layout.logs}/{program.name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _escape(value: str) -> str:
    return value.replace("%", "%%")


def _quoted(part: str) -> str:
    return f'"{part}"' if any(character in part for character in " ;") else part


def _own_environment(layout: Layout) -> dict[str, str]:
    """What all parts inherit: nothing of the caller's that could hold a secret."""
    plain = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return plain | {"PYTHONUNBUFFERED": "1", "TZ": "UTC", _MARK: str(layout.root)}
