"""The part that removes the services' containers when the stack is taken down and the releaser cannot.

They are none of compose's own, so its `down` leaves them, with the networks and volumes that they hold. Run it as
`python -m deposit.deploy.compose.cleanup PROJECT ADMIN_SOCKET`: it reads no settings, since wrong ones may be what
ended the releaser.
"""

import signal
import sys

_ENDS = {signal.SIGTERM, signal.SIGINT}


def clean(project: str, admin: str) -> None:
    """Remove the services of a project whose gateway is gone; while it answers, only this part is being stopped."""
    # imported when it is needed: until then this part is nothing but a few MB that wait
    from deposit.release.gateway import listens
    from deposit.release.targets.docker import clear

    if not listens(admin):
        clear(project)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    signal.sigwait(_ENDS)
    clean(*sys.argv[1:])
