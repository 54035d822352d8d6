import pytest

from deposit.data.period import month_number, parse_period
from deposit.model.artifact import ModelMetadata
from deposit.model.expiry import Expiry
from deposit.sections import ExpirySettings

LIMITS = ExpirySettings(stale_after=3, replace_after=6)


def month(name: str) -> int:
    return month_number(parse_period(name).start)


def ages(train_end: str, ingested: str, months: list[str]) -> list[int]:
    expiry = Expiry.of(ModelMetadata(train_end=train_end, ingested=ingested), LIMITS)
    return [expiry.age(month(name)) for name in months]


def test_age_counts_from_the_last_training_month() -> None:
    live = ages("2026-08", "2026-09-21T04:00:00+00:00", ["2026-08", "2026-09", "2026-12", "2027-02"])
    assert live == [0, 1, 4, 6]


def test_labels_that_come_as_late_as_a_model_may_be_old_count_as_live() -> None:
    assert ages("2026-08", "2026-11-30T23:59:59+00:00", ["2026-11", "2026-12"]) == [3, 4]


def test_a_history_that_was_too_old_already_counts_from_its_ingest_and_a_replay_from_its_last_month() -> None:
    public = ages("2010-11", "2026-11-30T01:00:00+00:00", ["2010-12", "2011-05", "2026-11", "2026-12", "2027-05"])
    assert public == [1, 6, 0, 1, 6]


def test_a_month_that_the_model_has_learned_from_makes_it_no_younger_than_new() -> None:
    assert ages("2009-04", "2026-11-30T01:00:00+00:00", ["2008-10", "2009-04"]) == [0, 0]


def test_a_model_of_an_earlier_version_goes_by_its_training_and_one_without_a_month_never_expires() -> None:
    earlier = Expiry.of(ModelMetadata(train_end="2010-11", created="2026-01-05T10:00:00+00:00"), LIMITS)
    assert [earlier.age(month(name)) for name in ("2010-12", "2026-06")] == [1, 5]
    nameless = Expiry.of(ModelMetadata(), LIMITS)
    assert (nameless.age(month("2026-06")), nameless.is_stale(month("9999-01"))) == (0, False)


def test_a_model_is_stale_beyond_one_limit_and_expired_beyond_the_other() -> None:
    expiry = Expiry.of(ModelMetadata(train_end="2026-01", ingested="2026-02-20T00:00:00+00:00"), LIMITS)
    stale = [name for name in range(1, 13) if expiry.is_stale(month(f"2026-{name:02d}"))]
    expired = [name for name in range(1, 13) if expiry.is_expired(month(f"2026-{name:02d}"))]
    assert (stale, expired) == ([5, 6, 7, 8, 9, 10, 11, 12], [8, 9, 10, 11, 12])


def test_a_model_cannot_be_replaced_before_it_is_stale() -> None:
    with pytest.raises(ValueError, match="stale before it is replaced"):
        ExpirySettings(stale_after=4, replace_after=3)
