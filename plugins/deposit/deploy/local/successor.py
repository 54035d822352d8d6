"""Ends the processes that a killed server left running, then executes the server's command, given as arguments.

For servers that answer requests in a child process: when such a server is killed, its child runs on and holds the port.
"""

import os
import sys

from deposit.deploy.local import processes

_PATIENCE = 5.0
"""Seconds that the remaining processes have to finish their requests."""


def main(command: list[str]) -> None:
    """End the processes that the previous server left, and replace this process by the command."""
    processes.end_previous(_PATIENCE)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
