from dataclasses import replace

from deposit.model.artifact import ModelMetadata
from deposit.model.expiry import Expiry
from deposit.registry.versions import Version
from deposit.sections import ExpirySettings
from deposit.selection.fallback import ChampionAge, FallbackReason, fallback_reason

LIMITS = ExpirySettings(stale_after=3, replace_after=6)
VERSION = Version("deposit-v4", 4, "r", "2026", "d", {}, ("champion",))
INGESTED = "2026-11-30T01:00:00+00:00"
CHAMPION = ChampionAge(
    VERSION, "2009-04", Expiry.of(ModelMetadata(train_end="2009-04", ingested=INGESTED), LIMITS), is_fallback=False
)
FALLBACK = replace(CHAMPION, is_fallback=True)


def test_a_champion_serves_until_it_has_expired_however_new_the_labels_are() -> None:
    assert [fallback_reason(CHAMPION, month, "2009-09") for month in ("2009-05", "2009-08", "2009-10")] == [None] * 3
    assert fallback_reason(CHAMPION, "2009-11", "2009-10") is FallbackReason.EXPIRED


def test_an_expired_champion_is_replaced_without_new_labels_too() -> None:
    assert fallback_reason(CHAMPION, "2009-11", "2009-04") is FallbackReason.EXPIRED


def test_a_fallback_follows_the_labels_and_stays_without_any() -> None:
    assert fallback_reason(FALLBACK, "2009-06", "2009-05") is FallbackReason.NEW_LABELS
    assert fallback_reason(FALLBACK, "2009-06", "2009-04") is None
    assert fallback_reason(FALLBACK, "2019-06", "2009-04") is None
