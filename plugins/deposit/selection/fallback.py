"""The fallback: the rate table replaces a champion that has expired, until another model passes the gate."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from deposit.data.period import month_number, parse_period
from deposit.model.expiry import Expiry
from deposit.progress import Progress
from deposit.registry.registry import ModelRegistry
from deposit.registry.versions import Version
from deposit.sections import ExpirySettings
from deposit.selection.decision import Decision
from deposit.selection.selection import Selection, read_decision, record_decision, register_training
from deposit.settings import Settings


class FallbackReason(StrEnum):
    """Why a rate table becomes champion: the champion has expired, or it is a rate table and there are newer labels."""

    EXPIRED = "expired"
    NEW_LABELS = "new_labels"


@dataclass(frozen=True)
class ChampionAge:
    """How old the champion is.

    Args:
        version: version of the champion.
        train_end: last training month, YYYY-MM.
        expiry: age by month, and its limits.
        is_fallback: whether it is champion as the fallback.
    """

    version: Version
    train_end: str
    expiry: Expiry
    is_fallback: bool

    def is_expired(self, month: str) -> bool:
        """Whether it must be replaced by the given month, YYYY-MM."""
        return self.expiry.is_expired(month_number(parse_period(month).start))


def champion_age(models: ModelRegistry, limits: ExpirySettings) -> ChampionAge | None:
    """The age of the champion; None if there is none. Raises GateError, IntegrityError or UpstreamError."""
    version = models.champion()
    if version is None:
        return None
    metadata = models.load(version).metadata
    expiry = Expiry.of(metadata, limits)
    return ChampionAge(version, metadata.train_end, expiry, _is_fallback(models, version))


def fallback_reason(champion: ChampionAge, month: str, newest: str) -> FallbackReason | None:
    """Why a rate table fitted up to the labelled month `newest` must become champion in `month`, if it must. Pure.

    A fallback is replaced whenever a new month is labelled; any other champion stays until it expires.
    """
    if champion.is_fallback:
        return FallbackReason.NEW_LABELS if newest > champion.train_end else None
    return FallbackReason.EXPIRED if champion.is_expired(month) else None


def promote_fallback(
    models: ModelRegistry, fallback: Version, champion: ChampionAge, reason: FallbackReason, month: str
) -> Selection:
    """Promote a rate table without the gate, and record why. Idempotent, and safe to kill."""
    before, why = champion.version.model_id, _describe(fallback, champion, reason, month)
    record_decision(models, fallback, Decision(promoted=True, reason=why, champion_before=before, fallback=True))
    models.set_champion(fallback, champion.version)
    return Selection(fallback.model_id, before, promoted=True, is_champion=True, criteria=(), reason=why)


def refuse_expired(
    settings: Settings, models: ModelRegistry, training_run: str | None, progress: Progress
) -> Selection | None:
    """Reject a training's challenger if it is expired itself while a fallback is champion; None if it may be compared.

    It would expire again in its first night. Raises as `select` does.
    """
    before = models.champion()
    if before is None or not _is_fallback(models, before):
        return None
    version = register_training(models, settings, training_run, progress)
    metadata, now = models.load(version).metadata, month_number(datetime.now(UTC))
    if version.version == before.version or not Expiry.of(metadata, settings.expiry).is_expired(now):
        return None
    why = (
        f"{version.model_id} is refused, {before.model_id} stays champion: a model trained through "
        f"{metadata.train_end} is too old to be served; ingest newer labels"
    )
    record_decision(models, version, Decision(promoted=False, reason=why, champion_before=before.model_id))
    return Selection(version.model_id, before.model_id, promoted=False, is_champion=False, criteria=(), reason=why)


def _is_fallback(models: ModelRegistry, version: Version) -> bool:
    decision = read_decision(models, version)
    return decision is not None and decision.fallback


def _describe(fallback: Version, champion: ChampionAge, reason: FallbackReason, month: str) -> str:
    before = champion.version.model_id
    if reason is FallbackReason.NEW_LABELS:
        return f"{fallback.model_id} is the rate table with the newest labels, in place of {before}"
    expiry = champion.expiry
    age = expiry.age(month_number(parse_period(month).start))
    return (
        f"{fallback.model_id}, the rate table, takes over from {before}, which was trained through "
        f"{champion.train_end} and is {age} months old in {month}, more than {expiry.replace_after}"
    )
