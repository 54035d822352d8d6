"""Polling and retrying until a deadline, to wait for another process."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_not_exception_type,
    retry_if_not_result,
)
from tenacity.retry import retry_base
from tenacity.stop import stop_after_delay
from tenacity.wait import wait_fixed

from deposit.errors import LoginError, UpstreamError

T = TypeVar("T")


class Unchanged:
    """How long a value has stayed the same, by a clock that is never set back or ahead."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._value: object = None
        self._since = clock()

    def seconds(self, value: object) -> float:
        """Seconds since the first of the consecutive calls with this value; 0 if the previous call had another one."""
        if value != self._value:
            self._value, self._since = value, self._clock()
        return self._clock() - self._since


def wait_until(look: Callable[[], T], seconds: float, pause: float = 0.2, is_enough: Callable[[T], bool] = bool) -> T:
    """Call `look` until its result is enough, or `seconds` have passed; returns the last result, enough or not.

    >>> left = iter([3, 1, 0])
    >>> wait_until(lambda: next(left), seconds=5, pause=0, is_enough=lambda count: count == 0)
    0
    """
    return _retry(look, seconds, pause, retry_if_not_result(is_enough))


def retry_while_down(attempt: Callable[[], T], seconds: float, pause: float = 0.5) -> T:
    """Retry a call until it succeeds: a server that has just started may refuse what it accepts a second later.

    Raises the last UpstreamError after `seconds`, and LoginError at once, since waiting does not help.
    """
    down = retry_if_exception_type(UpstreamError) & retry_if_not_exception_type(LoginError)
    return _retry(attempt, seconds, pause, down)


def retry_while(is_transient: Callable[[BaseException], bool], attempt: Callable[[], T], seconds: float) -> T:
    """Retry a call until it succeeds or raises an error that is not transient; raises the last one after `seconds`."""
    return _retry(attempt, seconds, 0.2, retry_if_exception(is_transient))


def _retry(attempt: Callable[[], T], seconds: float, pause: float, retry: retry_base) -> T:
    retrying = Retrying(
        retry=retry, stop=stop_after_delay(seconds), wait=wait_fixed(pause), retry_error_callback=_last_outcome
    )
    return retrying(attempt)


def _last_outcome(state: RetryCallState) -> Any:
    """Return or raise the outcome of the last attempt, instead of tenacity's own error."""
    return state.outcome.result() if state.outcome else None
