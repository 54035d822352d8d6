"""Production's traffic, which a replay borrows for its models."""

from collections.abc import Iterator
from contextlib import contextmanager

from deposit.errors import DepositError, ReleaseError
from deposit.progress import Progress
from deposit.release import requests
from deposit.release.rows import Release
from deposit.settings import Settings

_SECONDS = 180


def put_to_traffic(settings: Settings, model_id: str, progress: Progress) -> None:
    """Release a champion and wait until it is live. Raises ReleaseError or UpstreamError."""
    asked = requests.request_release(settings, model_id, progress)
    released = requests.wait(settings, asked.id, _SECONDS, progress)
    if released.state != "live":
        raise ReleaseError(f"{model_id} is champion but not live: {released.reason}")


@contextmanager
def borrowed_traffic(settings: Settings, progress: Progress) -> Iterator[None]:
    """Traffic for the models of `settings.mlflow.model_name`; if the block fails, what was live before is live again.

    Raises what the block raises, or ReleaseError if that could not be put back either.
    """
    before = requests.live(settings)
    try:
        yield
    except BaseException as error:
        progress("the replay has failed: putting back what was live before")
        try:
            _give_back(settings, before, progress)
        except DepositError as another:
            raise ReleaseError(
                f"{error}; what was live before could not be put back either ({another}): run `deposit release`"
            ) from error
        raise


def _give_back(settings: Settings, before: Release | None, progress: Progress) -> None:
    asked = requests.request_return(settings, settings.mlflow.model_name, before, "the replay has failed")
    if asked is not None:
        requests.wait(settings, asked.id, _SECONDS, progress)
