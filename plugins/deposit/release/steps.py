"""Steps of the loop that release nothing, kept in `releases` beside those that do: what it did, and why."""

from datetime import UTC, datetime, timedelta

from deposit.database import transaction
from deposit.model import selection
from deposit.model.selection import Selection
from deposit.progress import Progress, log_progress
from deposit.release import rows
from deposit.settings import Settings

_CHALLENGE, _RETRAINING = "challenge", "retraining"


def challenge(settings: Settings, training: str | None = None, progress: Progress = log_progress) -> Selection:
    """`select`, with a note if the challenger is refused. Raises as it does."""
    selected = selection.select(settings, training, progress)
    if not selected.is_champion:
        note_refusal(settings, selected.model_id, selected.reason)
    return selected


def note_refusal(settings: Settings, model_id: str, reason: str) -> None:
    """Note that a challenger was refused; a repeat notes nothing."""
    with transaction(settings.database) as connection:
        rows.lock_requests(connection)
        if not any(step.why == reason for step in rows.noted(connection, _CHALLENGE, model_id)):
            rows.note(connection, _CHALLENGE, model_id, reason)


def ask_retraining(settings: Settings, model_id: str, why: str) -> bool:
    """Note that a model has decayed and that another is wanted; whether one is.

    None is if the model does not serve, or while the last such note of it is younger than the cool-down. A repeat with
    the same words is the same step, of a task that was killed: it is answered as the first time.
    """
    with transaction(settings.database) as connection:
        rows.lock_requests(connection)
        live = rows.live(connection)
        if live is None or live.model_id != model_id:
            return False
        before = rows.noted(connection, _RETRAINING, model_id)
        if any(step.why == why for step in before):
            return True
        rest = timedelta(days=settings.monitor.cooldown_days)
        if before and datetime.now(UTC) - before[0].requested_at < rest:
            return False
        rows.note(connection, _RETRAINING, model_id, why)
        return True
