"""The life of a release: requested → building → testing → live → retired, or failed."""

from deposit.errors import ReleaseError

REQUESTED, BUILDING, TESTING, LIVE, RETIRED, FAILED = "requested", "building", "testing", "live", "retired", "failed"
RENEWAL = "renewal"
"""Kind of a release that serves the same model anew, with the settings and secrets of today."""
NOTED = "noted"
"""A step of the loop that releases nothing; it stays so."""
PENDING = (REQUESTED, BUILDING, TESTING)
"""Under way; found so after a crash, a release starts again from the beginning."""

_NEXT = {
    REQUESTED: {BUILDING, FAILED},
    BUILDING: {BUILDING, TESTING, FAILED},
    TESTING: {BUILDING, LIVE, FAILED},
    LIVE: {RETIRED},
    RETIRED: set(),
    FAILED: set(),
}


def check_step(before: str, after: str) -> None:
    """Raise ReleaseError unless a release may go from one state to the other."""
    if after not in _NEXT.get(before, set()):
        raise ReleaseError(f"a release that is {before!r} cannot become {after!r}")
