"""The login that the gateway asks for before MLflow's and Evidently's UIs."""

from pathlib import Path

import bcrypt

from deposit.deploy.credentials import write_private

_COST = 10
"""2^10 rounds, 0.05 s: the password is random, and each wrong one costs the gateway as much."""


def admit(login_file: Path, password: str) -> None:
    """Have the gateway know this password by its hash; what is there is kept where it is of this password already."""
    known = login_file.read_bytes() if login_file.exists() else b""
    try:
        if bcrypt.checkpw(password.encode(), known):
            return
    except ValueError:  # none, or damaged
        pass
    login_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(login_file, bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode())
