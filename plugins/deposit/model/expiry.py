"""Age of a model, and whether it is stale or expired. Pure; imports no pandas.

A model's age is counted from its last training month. If the data was already stale when it was ingested, as the
public history is, its months say nothing about the present: from the month of the ingest on, age is counted from that.
"""

from dataclasses import dataclass
from datetime import datetime

from deposit.data.period import month_number, parse_period
from deposit.model.artifact import ModelMetadata
from deposit.sections import ExpirySettings


@dataclass(frozen=True)
class Expiry:
    """Month from which a model's age is counted, and its limits; months are numbered by `month_number`.

    Args:
        train_end: last training month; None if the model does not record it, in which case it never expires.
        ingested: month of the ingest, if age is counted from that; None otherwise.
        stale_after: age in months above which the model is stale.
        replace_after: age in months above which the model is expired.
    """

    train_end: int | None
    ingested: int | None
    stale_after: int
    replace_after: int

    @classmethod
    def of(cls, metadata: ModelMetadata, limits: ExpirySettings) -> "Expiry":
        """Expiry of a model; its creation time stands in for the ingest, which earlier versions do not record."""
        if not metadata.train_end:
            return cls(None, None, limits.stale_after, limits.replace_after)
        end, known = month_number(parse_period(metadata.train_end).start), metadata.ingested or metadata.created
        ingested = month_number(datetime.fromisoformat(known)) if known else end
        late = ingested - end > limits.stale_after
        return cls(end, ingested if late else None, limits.stale_after, limits.replace_after)

    def age(self, month: int) -> int:
        """Age in months as of `month`; 0 if the model was trained on that month or a later one."""
        if self.train_end is None:
            return 0
        begin = self.train_end if self.ingested is None or month < self.ingested else self.ingested
        return max(0, month - begin)

    def is_stale(self, month: int) -> bool:
        """Whether responses for a month must be marked as stale."""
        return self.age(month) > self.stale_after

    def is_expired(self, month: int) -> bool:
        """Whether the model is too old to serve in a month, and must be replaced by then."""
        return self.age(month) > self.replace_after
