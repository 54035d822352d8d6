"""Log scored rows in the table `predictions`, as the service does, for monitoring and later outcomes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deposit.errors import LogError, UpstreamError
from deposit.log.direct import DatabaseLog
from deposit.log.entries import RankedBlock, encode_entry, encode_table
from deposit.log.writer import connector
from deposit.scoring.journal import ScorePlan
from deposit.scoring.ranked_parts import prediction_ids
from deposit.sections import DatabaseSettings

CLIENT = "deposit score"
"""Client of these rows; rows of the service have the name of an API key."""
_STATEMENT_SECONDS = 300.0


class BulkLog:
    """Logs the rows of one run; rows that are added again are not duplicated.

    Args:
        database: database settings; the role is `writer` or, if its URL is not set, as in Airflow, the owner.
        plan: plan of the run.
        threshold: probability from which a customer `subscribes`.
    """

    def __init__(self, database: DatabaseSettings, plan: ScorePlan, threshold: float) -> None:
        self._plan = plan
        self._threshold = threshold
        role = database.writer_url or database.url
        self._log = DatabaseLog(connector(database.model_copy(update={"writer_url": role}), _STATEMENT_SECONDS))

    def add(self, scored: pa.Table, columns: Mapping[str, Any]) -> None:
        """Store rows of `runs.SCHEMA` with their feature values; they are committed on return.

        Raises UpstreamError.
        """
        rows: NDArray[np.int64] = scored["row"].to_numpy()
        keys = prediction_ids(self._plan.run_id, rows).tobytes()
        block = RankedBlock(
            request_id=self._plan.run_id,
            client=CLIENT,
            model_id=self._plan.model_id,
            threshold=self._threshold,
            event_time=self._plan.event_time,
            latency_ms=0.0,  # no client waited
            table=encode_table(columns, scored["id"], keys, scored["probability"]),
        )
        try:
            self._log.append([encode_entry(block, len(rows))])
        except LogError as error:
            raise UpstreamError(f"{error}; finished work is kept, score again to continue") from error

    def close(self) -> None:
        """Close the connection."""
        self._log.close()
