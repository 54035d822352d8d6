"""Steps of the loop that release nothing, kept in `releases` beside those that do: what it did, and why."""

from datetime import UTC, datetime, timedelta

from deposit.database import transaction
from deposit.progress import Progress, log_progress
from deposit.release import repository
from deposit.selection import selection
from deposit.selection.selection import Selection
from deposit.settings import Settings

_CHALLENGE, _RETRAINING = "challenge", "retraining"


def challenge(settings: Settings, training: str | None = None, progress: Progress = log_progress) -> Selection:
    """`select`, with a note if the challenger is refused. Raises as it does."""
    selected = selection.select(settings, training, progress)
    if not selected.is_champion:
        record_rejection(settings, selected.model_id, selected.reason)
    return selected


def record_rejection(settings: Settings, model_id: str, reason: str) -> None:
    """Note that a challenger was refused; a repeat notes nothing."""
    with transaction(settings.database) as connection:
        repository.lock_requests(connection)
        if not any(step.why == reason for step in repository.noted(connection, _CHALLENGE, model_id)):
            repository.note(connection, _CHALLENGE, model_id, reason)


def request_retraining(settings: Settings, model_id: str, why: str) -> bool:
    """Note that a model has decayed and that another is wanted; whether one is.

    None is if the model does not serve, or while the last such note of it is younger than the cool-down. A repeat with
    the same words is the same step, of a task that was killed: it is answered as the first time.
    """
    with transaction(settings.database) as connection:
        repository.lock_requests(connection)
        live = repository.live(connection)
        if live is None or live.model_id != model_id:
            return False
        before = repository.noted(connection, _RETRAINING, model_id)
        if any(step.why == why for step in before):
            return True
        rest = timedelta(days=settings.monitor.cooldown_days)
        if before and datetime.now(UTC) - before[0].requested_at < rest:
            return False
        repository.note(connection, _RETRAINING, model_id, why)
        return True
