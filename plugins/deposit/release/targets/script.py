"""A program with its environment as a shell script: supervisor's configuration cannot quote every text, `sh` can."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path


def script(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> str:
    """The script that becomes the program, in a folder; what it is given itself comes last on the command line."""
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    change = f"cd {shlex.quote(str(folder))} || exit\n" if folder else ""
    return f'#!/bin/sh\n{"".join(exports)}{change}exec {shlex.join(command)} "$@"\n'
