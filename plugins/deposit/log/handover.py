"""Handover of unshipped entries to the next shipper through the object store, for disks that end with a Fargate task.

An entry is removed from the spool only after its object is written, and an object is deleted only after its rows are in
PostgreSQL. So a kill at any point loses no entry, and an entry that exists twice is stored once.
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
"""Key suffixes of objects with waiting entries, and of objects with entries that no shipper could store so far."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class HandedOver:
    """The entries of one object, numbered like those of a spool, so that `ship` takes either (see `EntrySource`)."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.batch = list(enumerate(entries))
        self.aside: list[Entry] = []

    def remove(self, seqs: Sequence[int]) -> None:
        """Do nothing: the object is deleted as a whole."""

    def set_aside(self, seq: int, reason: str) -> None:  # noqa: ARG002 - the shipper has logged it
        """Keep an entry that cannot be stored, for `Handover.finish`."""
        self.aside.append(self.batch[seq][1])


class Handover:
    """The folder in the object store that all shippers of a database share. Raises the errors of the store."""

    def __init__(self, bucket: "Bucket", prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._unreadable: set[str] = set()
        self._is_first = True

    @classmethod
    def of(cls, log: LogSettings, store: StoreSettings) -> "Handover | None":
        """Return the folder of `DEPOSIT_LOG__HANDOVER_URI`, or None if it is not set.

        Raises ConfigError if the URI is not like `s3://bucket/folder/`.
        """
        if log.handover_uri is None:
            return None
        from deposit.store import ObjectStore, split_uri  # imported here: it costs 25 MB that other shippers save

        bucket, prefix = split_uri(log.handover_uri)
        # short timeouts: a stopping task has only seconds left
        objects = ObjectStore(store, connect_timeout=3, read_timeout=20, retries=2)
        return cls(objects.bucket(bucket), prefix.rstrip("/") + "/")

    def leave(self, spool: Spool, rows: int) -> int:
        """Move all entries of a spool to objects of about `rows` rows each, and return the number of rows moved.

        Also raises SpoolError.
        """
        spool.restore()
        moved = 0
        while batch := spool.read(rows):
            key = f"{self._prefix}{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex}{_WAITING}"
            self._bucket.put(key, _encode([entry for _, entry in batch]))
            spool.remove([seq for seq, _ in batch])
            moved += sum(entry.rows for _, entry in batch)
        return moved

    def waiting(self) -> list[str]:
        """Return the keys to ship, oldest first; the first call includes entries that could not be stored before."""
        ends = (_WAITING, _ASIDE) if self._is_first else (_WAITING,)
        keys = [key for key in self._bucket.keys(self._prefix) if key.endswith(ends) and key not in self._unreadable]
        self._is_first = False
        return keys

    def read(self, key: str) -> HandedOver | None:
        """Return the entries of an object; None if another shipper has deleted it, or if it is damaged and so kept."""
        if not self._bucket.exists(key):
            return None
        try:
            return HandedOver(_decode(self._bucket.get(key)))
        except msgspec.MsgspecError as error:
            self._unreadable.add(key)
            logger.critical("%s is damaged (%s): it is kept and not shipped", self._bucket.uri(key), error)
            return None

    def finish(self, key: str, taken: HandedOver) -> None:
        """Delete an object whose entries are stored; entries that were set aside are kept in a separate object."""
        rest = ""
        if taken.aside:
            content = _encode(taken.aside)
            # the key is a hash of the content, so that shippers that start at the same time write the same object
            rest = f"{self._prefix}{hashlib.sha256(content).hexdigest()}{_ASIDE}"
            self._bucket.put(rest, content)
        if key != rest:
            self._bucket.delete(key)


def leave_rest(handover: Handover, spool: Spool, rows: int) -> None:
    """Move the entries of a spool to the object store and log it; if the store fails, they stay in the spool."""
    try:
        moved = handover.leave(spool, rows)
    except DepositError as error:
        logger.critical("predictions that are not in PostgreSQL yet stay on this disk alone: %s", error)
    else:
        if moved:
            logger.warning(
                "%d rows were left in the object store: they are not in PostgreSQL yet, the next shipper stores them",
                moved,
            )
