"""A sign of life for health checks: a file whose time is renewed by a loop that has no port to ask."""

from deposit.settings import Settings


def beat(settings: Settings) -> None:
    """Renew the file that the setting `heartbeat_file` names, if it does."""
    if settings.heartbeat_file is not None:
        settings.heartbeat_file.touch()
