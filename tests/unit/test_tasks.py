import logging

import pytest

from deposit.errors import ConfigError, ContractError, DepositError, GateError, ReleaseError, SpoolError, UpstreamError
from deposit.tasks import REFUSED, SKIP, running, skip_unless


@pytest.mark.parametrize("error", [ConfigError, ContractError, GateError, ReleaseError, DepositError])
def test_who_is_refused_ends_with_the_reason_and_its_exit_code(
    error: type[DepositError], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended, running():
        raise error("no such month")
    assert ended.value.code == REFUSED
    assert caplog.record_tuples == [("deposit", logging.ERROR, "no such month")]


@pytest.mark.parametrize("error", [UpstreamError, SpoolError, RuntimeError])
def test_what_may_pass_is_raised_as_it_is(error: type[Exception]) -> None:
    with pytest.raises(error, match="away"), running():
        raise error("away")


def test_a_task_that_has_nothing_to_pass_on_is_skipped() -> None:
    with pytest.raises(SystemExit) as ended, running():
        skip_unless(False)
    assert ended.value.code == SKIP == 99


def test_a_task_that_has_something_to_pass_on_goes_on() -> None:
    with running():
        skip_unless(True)
