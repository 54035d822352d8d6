"""Compose service that removes the serving containers when the stack is taken down and the releaser cannot.

Compose did not start these containers, so `down` leaves them, and the networks and volumes that they use. Run it as
`python -m deposit.deploy.compose.cleanup PROJECT ADMIN_SOCKET`: it reads no settings, since wrong settings may be why
the releaser ended.
"""

import signal
import sys

_ENDS = {signal.SIGTERM, signal.SIGINT}


def clean(project: str, admin: str) -> None:
    """Remove a project's serving containers, unless its gateway still answers: then only this process is stopped."""
    # imported late, so that the waiting process needs only a few MB
    from deposit.release.gateway import listens
    from deposit.release.targets.docker import clear

    if not listens(admin):
        clear(project)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    signal.sigwait(_ENDS)
    clean(*sys.argv[1:])
