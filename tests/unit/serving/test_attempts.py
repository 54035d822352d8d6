import time

import pytest

from serving.http import Attempt, attempt_of

UUID = b"9f0d0a5e-1111-4222-8333-444455556666"
AT = 1_780_000_000_000


def _header(form: bytes, seconds: int = 0) -> dict[bytes, bytes]:
    return {b"x-deposit-attempt": form.replace(b"AT", b"%d" % (_now() + 1000 * seconds)).replace(b"UUID", UUID)}


def _now() -> int:
    return time.time_ns() // 1_000_000


def test_the_gateways_name_of_a_request_is_taken() -> None:
    before = _now()
    attempt = attempt_of(_header(b"AT-UUID"))
    assert attempt is not None
    assert attempt.key == UUID
    assert before <= attempt.at <= _now()


@pytest.mark.parametrize(
    ("form", "seconds"), [(b"", 0), (b"x", 0), (b"AT", 0), (b"AT-UUID-", 0), (b"AT-UUID", -3600), (b"AT-UUID", 3600)]
)
def test_what_is_no_such_name_or_not_of_now_is_none(form: bytes, seconds: int) -> None:
    assert attempt_of(_header(form, seconds)) is None
    assert attempt_of({}) is None


def test_the_same_request_to_the_same_model_alone_gives_the_same() -> None:
    first = Attempt(AT, UUID).random("deposit-v1", b"{}", 40)
    assert (len(first), Attempt(AT, UUID).random("deposit-v1", b"{}", 40)) == (40, first)
    others = {
        Attempt(AT, UUID).random("deposit-v2", b"{}", 40),
        Attempt(AT, UUID).random("deposit-v1", b"{ }", 40),
        Attempt(AT, UUID.replace(b"9", b"8")).random("deposit-v1", b"{}", 40),
    }
    assert len(others - {first}) == 3
