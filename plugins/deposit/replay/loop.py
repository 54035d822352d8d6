"""What a month of new labelled rows sets off: train, select, and release what has become champion."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from deposit.data.columns import NAMES, TARGET
from deposit.data.ingest import ingest
from deposit.model import registry
from deposit.model.training import train
from deposit.monitoring.verdicts import months_to_leave_out
from deposit.progress import Progress
from deposit.release.steps import challenge
from deposit.replay.traffic import Traffic
from deposit.settings import Settings


def learn(settings: Settings, rows: pd.DataFrame, traffic: Traffic, progress: Progress) -> str:
    """Ingest the rows known by now, train on them, and let the gate decide; what was done, in words.

    Raises DataError, ReleaseError (the champion could not be released) or UpstreamError.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        known = rows[["id", "period", *NAMES]].assign(**{TARGET: rows[TARGET].map({0: "no", 1: "yes"})})
        known.to_csv(path, sep=";", index=False)
        version = ingest(settings.changed("ingest", source="file", path=path), progress).version
    training = train(settings, version, months_to_leave_out(settings), progress)
    selection = challenge(settings, training.run_id, progress)
    if not selection.is_champion:
        return f"{selection.model_id} refused"
    traffic.put(selection.model_id)
    return f"{selection.model_id} released"


def begin(settings: Settings, rows: pd.DataFrame, traffic: Traffic, progress: Progress) -> None:
    """See that a champion serves, before the first month: by hand if the gate lets none through.

    The early months of this data teach no model to beat a constant, and a month can be scored by some model only.
    """
    learn(settings, rows, traffic, progress)
    champion = registry.champion(settings)
    if champion is None:
        champion = registry.versions(settings)[-1]
        progress(f"no model has earned it yet, so {champion.model_id} is appointed by hand")
        registry.appoint(settings, champion, None)
    traffic.put(champion.model_id)


def resume(settings: Settings, traffic: Traffic) -> None:
    """See that the champion serves again: what was live before is, if the replay failed or was killed midway."""
    champion = registry.champion(settings)
    if champion is not None:
        traffic.put(champion.model_id)
