"""What a person reads of an error: its details, then its sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deposit.errors import DepositError


@contextmanager
def refuses(error: type[DepositError], match: str) -> Iterator[pytest.ExceptionInfo[DepositError]]:
    """As `pytest.raises`, but `match` may be in the details as well; each is one line."""
    with pytest.raises(error) as caught:
        yield caught
    lines = [*map(str, caught.value.details), str(caught.value)]
    assert re.search(match, "; ".join(lines)), lines
    assert not [line for line in lines if "\n" in line]
