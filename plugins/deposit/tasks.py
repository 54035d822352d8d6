"""How a DAG task runs in the models' environment: its logging, and the exit codes with which it ends early.

Needs no library, so that Airflow's environment can import it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from deposit.errors import DepositError, SpoolError, UpstreamError

REFUSED = 98
"""Exit code of a task whose failure no retry can fix."""
SKIP = 99
"""Exit code of a task that has no result: Airflow marks it and its downstream tasks as skipped."""
_MAX_DETAILS = 10
_RETRYABLE = (UpstreamError, SpoolError)

logger = logging.getLogger("deposit")


@contextmanager
def running() -> Iterator[None]:
    """Set up logging for a task; an error of our own that no retry can fix is logged and exits with `REFUSED`."""
    logging.basicConfig(level=logging.INFO)
    try:
        yield
    except _RETRYABLE:
        raise
    except DepositError as error:
        for detail in error.details[:_MAX_DETAILS]:
            logger.error("%s", detail)
        if len(error.details) > _MAX_DETAILS:
            logger.error("and %s more; %s", len(error.details) - _MAX_DETAILS, error.kept or "all by `deposit`")
        logger.error("%s", error)
        raise SystemExit(REFUSED) from None


def skip_unless(done: bool) -> None:
    """Exit with `SKIP` if a task has no result."""
    if not done:
        raise SystemExit(SKIP)
