"""What a shipper leaves to the next one where the spool's disk goes away with it, as on Fargate: objects of the store.

An entry leaves the spool only once its object is written, and an object goes only once its rows are in PostgreSQL:
whatever is killed in between, an entry is somewhere, and where it is twice it is stored once.
"""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from deposit.errors import DepositError
from deposit.log.entries import Entry
from deposit.log.spool import Spool
from deposit.sections import LogSettings, StoreSettings

if TYPE_CHECKING:
    from deposit.store import Bucket

logger = logging.getLogger(__name__)

_WAITING, _ASIDE = ".entries", ".aside"
"""Ends of keys: of entries that wait, and of those that no shipper so far could store."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class HandedOver:
    """The entries of one object, to be shipped as a spool's are: numbered, and some perhaps set aside."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.batch = list(enumerate(entries))
        self.aside: list[Entry] = []

    def remove(self, seqs: Sequence[int]) -> None:
        """Nothing: the object goes as a whole."""

    def set_aside(self, seq: int, reason: str) -> None:  # noqa: ARG002 - the shipper has logged it
        """Keep an entry that cannot be stored."""
        self.aside.append(self.batch[seq][1])


class Handover:
    """The folder in the object store that all shippers of a database share. Raises as the store does."""

    def __init__(self, bucket: "Bucket", prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._unreadable: set[str] = set()
        self._is_first = True

    @classmethod
    def of(cls, log: LogSettings, store: StoreSettings) -> "Handover | None":
        """The one that the settings name. Raises ConfigError if that is no `s3://bucket/folder/`."""
        if log.handover_uri is None:
            return None
        from deposit.store import ObjectStore, split_uri  # 25 MB that other shippers do without

        bucket, prefix = split_uri(log.handover_uri)
        # a store that does not answer must not take the seconds that a task has to end
        objects = ObjectStore(store, connect_timeout=3, read_timeout=20, retries=2)
        return cls(objects.bucket(bucket), prefix.rstrip("/") + "/")

    def leave(self, spool: Spool, rows: int) -> int:
        """Move all that is in the spool, about `rows` rows an object; how many were moved. Raises SpoolError too."""
        spool.restore()
        moved = 0
        while batch := spool.read(rows):
            key = f"{self._prefix}{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex}{_WAITING}"
            self._bucket.put(key, _encode([entry for _, entry in batch]))
            spool.remove([seq for seq, _ in batch])
            moved += sum(entry.rows for _, entry in batch)
        return moved

    def waiting(self) -> list[str]:
        """The objects to take, oldest first; the first time also those that could not be stored before."""
        ends = (_WAITING, _ASIDE) if self._is_first else (_WAITING,)
        keys = [key for key in self._bucket.keys(self._prefix) if key.endswith(ends) and key not in self._unreadable]
        self._is_first = False
        return keys

    def read(self, key: str) -> HandedOver | None:
        """An object's entries; None if another shipper was faster, or if it cannot be read: then it stays."""
        if not self._bucket.exists(key):
            return None
        try:
            return HandedOver(_decode(self._bucket.get(key)))
        except msgspec.MsgspecError as error:
            self._unreadable.add(key)
            logger.critical("%s is damaged (%s): it is left where it is", self._bucket.uri(key), error)
            return None

    def finish(self, key: str, taken: HandedOver) -> None:
        """An object's entries are stored, but for those that were set aside, which stay as an object of their own."""
        rest = ""
        if taken.aside:
            content = _encode(taken.aside)
            # known by its content: shippers that start at once must not make two of one
            rest = f"{self._prefix}{hashlib.sha256(content).hexdigest()}{_ASIDE}"
            self._bucket.put(rest, content)
        if key != rest:
            self._bucket.delete(key)


def leave_rest(handover: Handover, spool: Spool, rows: int) -> None:
    """Leave what is in a spool, and log it; where the store refuses, it stays in the spool, which is logged as well."""
    try:
        moved = handover.leave(spool, rows)
    except DepositError as error:
        logger.critical("predictions that PostgreSQL has not got stay on this disk alone: %s", error)
    else:
        if moved:
            logger.warning(
                "%d rows were left in the object store: PostgreSQL has not got them, the next shipper stores them",
                moved,
            )
