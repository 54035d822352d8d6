"""Pages in the object store: Evidently's report of a period, and the card of a released model."""

import re

from deposit.data.period import parse_period
from deposit.errors import DataError
from deposit.monitoring import status
from deposit.release import repository
from deposit.store import Bucket

_MODEL_ID = re.compile(r"\w[\w.-]{0,99}-v[1-9]\d{0,8}", re.ASCII)


def report(reports: Bucket, period: str, model_id: str) -> bytes:
    """Return the HTML of a report. Raises DataError for an invalid period or model ID, SourceError or UpstreamError."""
    key = status.report_key(parse_period(period).name, _checked_id(model_id))
    return reports.get(key)


def card(reports: Bucket, model_id: str) -> bytes:
    """Return the HTML of a model card. Raises DataError for an invalid model ID, SourceError or UpstreamError."""
    return reports.get(repository.card_key(_checked_id(model_id), "html"))


def _checked_id(model_id: str) -> str:
    if not _MODEL_ID.fullmatch(model_id):
        raise DataError(f"{model_id!r} is not a model id: it must look like deposit-v7")
    return model_id
