"""How old a model is, and whether it is too old. Pure; needs no pandas.

A model's age is counted from its last training month. Data that was too old already when it was ingested, as the
public history is, says nothing about the clock: for a month from that ingest on, age is counted from the ingest.
"""

from dataclasses import dataclass
from datetime import datetime

from deposit.data.period import month_number, parse_period
from deposit.model.artifact import ModelMetadata
from deposit.sections import ExpirySettings


@dataclass(frozen=True)
class Expiry:
    """What a model's age is counted from, and its limits; months as `month_number` gives them.

    Args:
        train_end: the last training month; None of a model that does not record it, which never expires.
        ingested: the month in which its data was ingested, where age is counted from that; None elsewhere.
        stale_after: months beyond which it is stale.
        replace_after: months beyond which it is to be replaced.
    """

    train_end: int | None
    ingested: int | None
    stale_after: int
    replace_after: int

    @classmethod
    def of(cls, metadata: ModelMetadata, limits: ExpirySettings) -> "Expiry":
        """Of a model; one of an earlier version, which does not record its data's ingest, goes by its training."""
        if not metadata.train_end:
            return cls(None, None, limits.stale_after, limits.replace_after)
        end, known = month_number(parse_period(metadata.train_end).start), metadata.ingested or metadata.created
        ingested = month_number(datetime.fromisoformat(known)) if known else end
        late = ingested - end > limits.stale_after
        return cls(end, ingested if late else None, limits.stale_after, limits.replace_after)

    def age(self, month: int) -> int:
        """In months; 0 where the model has learned from the month or a later one."""
        if self.train_end is None:
            return 0
        begin = self.train_end if self.ingested is None or month < self.ingested else self.ingested
        return max(0, month - begin)

    def is_stale(self, month: int) -> bool:
        """Whether answers for a month are to say so."""
        return self.age(month) > self.stale_after

    def is_expired(self, month: int) -> bool:
        """Whether it is to be replaced by that month."""
        return self.age(month) > self.replace_after
