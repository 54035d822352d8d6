"""Batch scoring: score every row of the input files with one model into a folder of ranked rows. Crash-safe."""

import csv
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from deposit.compute import pool
from deposit.data.blocks import Block
from deposit.data.readings import Readings
from deposit.data.tables.dialect import Dialect, counted
from deposit.errors import ContractError
from deposit.model.artifact import ModelArtifact, Probabilities
from deposit.progress import Progress
from deposit.scoring import runs
from deposit.scoring.bulk_log import BulkLog
from deposit.scoring.journal import Journal, RunDone, ScorePlan
from deposit.scoring.output import QUARANTINE, OutputFolder, ScoreManifest, publish
from deposit.scoring.ranked_parts import PART_ROWS, write_parts
from deposit.scoring.reading import InputBlock, read_inputs
from deposit.sections import ComputeSettings
from deposit.store import ObjectStore

RUN_ROWS = 400_000
"""Rows, good and bad, that are scored between two entries of the journal."""
_PIECE_ROWS = 25_000
"""Rows that are encoded and scored by one call: fewer cost up to a tenth more time, more take memory and save none."""
_REASONS_SHOWN = 3
_MIB = 2**20


@dataclass(frozen=True)
class BatchScoring:
    """One batch scoring run and the components that it uses.

    Args:
        plan: inputs, model and options of the run.
        journal: work that is already finished.
        model: loads the model; called wherever rows are scored, in this process or in a worker.
        compute: scheduler that runs the scoring tasks, if there is one.
        threads: number of scoring threads when there is no scheduler.
        store: object store that inputs are read from.
        folder: output folder.
        scratch: local folder for unfinished work.
        log: log of the predictions; None if they are not logged.
        progress: receives the rows scored and the files written.
    """

    plan: ScorePlan
    journal: Journal
    model: Callable[[], ModelArtifact] = field(repr=False)
    compute: ComputeSettings
    threads: int
    store: ObjectStore
    folder: OutputFolder
    scratch: Path
    log: BulkLog | None
    progress: Progress

    def run(self) -> ScoreManifest:
        """Finish the run and publish its results. Raises DepositError; work that is finished by then is kept."""
        self._score()
        self._rank()
        manifest = self._manifest()
        publish(self.folder, manifest, self.scratch)
        return manifest

    def _score(self) -> None:
        done = self.journal.runs
        first, skip = (done[-1].source, done[-1].end) if done else (0, 0)
        row, pending = sum(run.rows for run in done), _Pending()
        blocks = read_inputs(self.plan.inputs, first, skip, self.store, self.scratch, self.plan.charset or None)
        calls = ((self.model, block, self.log is not None) for block in blocks)
        with pool(self.compute, self.threads) as workers, closing(workers.map(score_block, calls)) as scored:
            for each in scored:
                rows = _rows(each, row)
                if self.log is not None and len(rows):
                    self.log.add(rows, each.block.columns)
                pending.add(each, rows)
                row += each.rows
                if pending.rows >= RUN_ROWS:
                    self._finish_run(pending)
                    self._report(row, each.source, each.share)
                    pending = _Pending()
        if pending.rows:
            self._finish_run(pending)
        self._report(row, len(self.plan.inputs), 0.0)

    def _finish_run(self, pending: "_Pending") -> None:
        """Write pending rows as a sorted run; once it is in the journal, the rows need not be scored again."""
        number = len(self.journal.runs)
        rows = pa.concat_tables(pending.tables).combine_chunks()
        runs.write_run(self._run_path(number), rows)
        probability = rows["probability"].to_numpy()
        worth = probability * self.plan.deposit_value > self.plan.call_cost
        self.journal.add(
            RunDone(
                source=pending.source,
                end=pending.end,
                rows=pending.rows,
                rejected=pending.rows - len(rows),
                expected_subscriptions=float(probability.sum()),
                worth_calling=int(worth.sum()),
                quarantine=self._quarantine(number, pending.bad) if pending.bad else "",
                readings=pending.readings.listed(),
                dialects=counted(pending.dialects),
            )
        )

    def _quarantine(self, number: int, bad: Sequence[tuple[int, int, str]]) -> str:
        path, name = self.scratch / "quarantine.csv", f"{QUARANTINE}/run-{number:05d}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "line", "reason"))
            writer.writerows((self.plan.inputs[source].uri, line, reason) for source, line, reason in bad)
        self.folder.put(path, name)
        return name

    def _rank(self) -> None:
        rows = sum(run.rows - run.rejected for run in self.journal.runs)
        if not rows:
            raise self._no_rows()
        pa.default_memory_pool().release_unused()  # memory that scoring kept for its next block
        paths = [self._run_path(number) for number in range(len(self.journal.runs))]
        merged = runs.merge_runs(paths, self.scratch)
        total, first = -(-rows // PART_ROWS), len(self.journal.parts)
        for number, (path, part) in enumerate(write_parts(merged, self.plan, first, self.scratch), first + 1):
            self.folder.put(path, part.name)
            self.journal.add(part)
            self.progress("ranking, files written", number, total)

    def _manifest(self) -> ScoreManifest:
        done = self.journal.runs
        rejected = sum(run.rejected for run in done)
        readings = Readings()
        for run in done:
            readings.add(run.readings)
        return ScoreManifest(
            plan=self.plan,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=sum(run.rows for run in done) - rejected,
            rejected=rejected,
            expected_subscriptions=sum(run.expected_subscriptions for run in done),
            worth_calling=sum(run.worth_calling for run in done),
            parts=tuple(self.journal.parts),
            quarantine=tuple(run.quarantine for run in done if run.quarantine),
            readings=readings.listed(),
            dialects=counted(dialect for run in done for dialect in run.dialects),
        )

    def _report(self, row: int, source: int, share: float) -> None:
        """Report rows scored and bytes read: all of the first `source` files, and `share` of the next file."""
        sizes = [each.size for each in self.plan.inputs]
        read = sum(sizes[:source]) + share * sum(sizes[source : source + 1])
        self.progress(f"{row:,} rows scored, MiB read", -(-int(read) // _MIB), -(-sum(sizes) // _MIB))

    def _run_path(self, number: int) -> Path:
        return self.scratch / f"run-{number:05d}.arrow"

    def _no_rows(self) -> ContractError:
        bad = [run.quarantine for run in self.journal.runs if run.quarantine]
        if not bad:
            return ContractError("the files have columns but no row under them: nothing was scored")
        content = (self.folder.get(bad[0]) or b"").decode().splitlines()[1 : _REASONS_SHOWN + 1]
        kept = f"{self.folder.uri.rstrip('/')}/{QUARANTINE}/"
        return ContractError("no row is valid, nothing was scored: correct the file", content, kept)


@dataclass(frozen=True, eq=False)
class ScoredBlock:
    """Checked and scored rows of an `InputBlock`, with the probabilities of the valid rows, shape (n,)."""

    source: int
    end: int
    rows: int
    block: Block
    lines: list[int]
    has_ids: bool
    share: float
    dialect: Dialect | None
    probabilities: Probabilities


def score_block(model: Callable[[], ModelArtifact], read: InputBlock, with_columns: bool) -> ScoredBlock:
    """Check, encode and score a block; the result keeps the columns' values only if `with_columns`."""
    block, lines = read.checked()
    probabilities = np.empty(len(block.records))
    for first in range(0, len(probabilities), _PIECE_ROWS):
        artifact, rows = model(), slice(first, first + _PIECE_ROWS)
        matrix = artifact.encoder.encode_columns({name: values[rows] for name, values in block.columns.items()})
        probabilities[rows] = artifact.probabilities(matrix)
    kept = block if with_columns else replace(block, columns={})
    return ScoredBlock(
        read.source, read.end, read.rows, kept, lines, read.has_ids, read.share, read.dialect, probabilities
    )  # fmt: skip


class _Pending:
    """Scored rows that are not part of a run yet."""

    def __init__(self) -> None:
        self.tables = [runs.SCHEMA.empty_table()]
        self.bad: list[tuple[int, int, str]] = []
        self.readings = Readings()
        self.dialects: list[Dialect] = []
        self.rows = self.source = self.end = 0

    def add(self, scored: ScoredBlock, rows: pa.Table) -> None:
        self.tables.append(rows)
        self.readings.add(scored.block.readings)
        self.dialects += [scored.dialect] if scored.dialect else []
        self.rows, self.source, self.end = self.rows + scored.rows, scored.source, scored.end
        rejected = zip(scored.lines, scored.block.rejected, strict=True)
        self.bad += [(scored.source, line, bad.reason) for line, bad in rejected]


def _rows(scored: ScoredBlock, first: int) -> pa.Table:
    """The valid rows in `runs.SCHEMA`; `first` is the index of the block's first row in the whole input."""
    numbers = first + scored.block.records
    ids = scored.block.ids if scored.has_ids else pa.array(numbers + 1).cast(pa.string())
    return pa.table([pa.array(scored.probabilities), pa.array(numbers), ids], schema=runs.SCHEMA)
