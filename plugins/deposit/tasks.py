"""How a DAG's task runs in the models' environment: what it logs, and by which exit code it ends early.

Needs no library, so that Airflow's environment can import it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from deposit.errors import DepositError, SpoolError, UpstreamError

REFUSED = 98
"""Exit code of a task that will be refused again however often it is tried."""
SKIP = 99
"""Exit code of a task that has nothing to pass on: it is skipped, and so is what follows it."""
_MOST_DETAILS = 10
_MAY_PASS = (UpstreamError, SpoolError)

logger = logging.getLogger("deposit")


@contextmanager
def running() -> Iterator[None]:
    """Log what a task does; an error of our own that waiting cannot mend ends it with `REFUSED` and one line."""
    logging.basicConfig(level=logging.INFO)
    try:
        yield
    except _MAY_PASS:
        raise
    except DepositError as error:
        for detail in error.details[:_MOST_DETAILS]:
            logger.error("%s", detail)
        if len(error.details) > _MOST_DETAILS:
            logger.error("and %s more; %s", len(error.details) - _MOST_DETAILS, error.kept or "all by `deposit`")
        logger.error("%s", error)
        raise SystemExit(REFUSED) from None


def skip_unless(done: bool) -> None:
    """End a task that has nothing to pass on with `SKIP`."""
    if not done:
        raise SystemExit(SKIP)
