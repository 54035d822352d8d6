"""Journal of a run's finished work, on local disk, from which a killed run resumes."""

import os
from pathlib import Path

import msgspec

from deposit.data.readings import Reading
from deposit.data.tables.dialect import FilesOfDialect
from deposit.errors import ConfigError
from deposit.scoring.inputs import InputFile


class ScorePlan(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """What a run scores; the next run resumes it if everything but `run_id` and `event_time` is the same.

    Args:
        run_id: 32 hexadecimal digits, new for each run.
        output: output folder.
        inputs: input files, in order.
        model_id: id of the model.
        deposit_value: value of a subscription.
        call_cost: cost of a call, in the same unit.
        period: month or day that the predictions are dated to; empty means now.
        is_logged: whether predictions are logged in the table `predictions`.
        event_time: time that the predictions are dated to, in µs since the epoch.
        charset: Python codec of inputs that are text; empty means UTF-8.
    """

    run_id: str
    output: str
    inputs: tuple[InputFile, ...]
    model_id: str
    deposit_value: float
    call_cost: float
    period: str
    is_logged: bool
    event_time: int
    charset: str = ""

    def differences(self, other: "ScorePlan") -> list[str]:
        """Describe the differences from another plan in words."""
        subjects = {
            "inputs": "the input files",
            "model_id": "the model",
            "deposit_value": "the value of a deposit",
            "call_cost": "the cost of a call",
            "period": "the period",
            "is_logged": "whether predictions are logged",
            "charset": "the charset",
        }
        return [words for name, words in subjects.items() if getattr(self, name) != getattr(other, name)]


class RunDone(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """A finished run of rows: scored, logged if they are to be logged, and stored in sorted order.

    Args:
        source: index of the input file that holds the last row.
        end: number of rows of that file up to and including the last row.
        rows: number of rows, valid or not.
        rejected: number of invalid rows.
        expected_subscriptions: sum of the probabilities.
        worth_calling: number of rows with an expected value above 0.
        quarantine: name of the file with the invalid rows; empty if there are none.
        readings: alternative spellings in the valid rows, with the values they were read as.
        dialects: dialects of the files whose first row is among these rows, without Parquet files.
    """

    source: int
    end: int
    rows: int
    rejected: int
    expected_subscriptions: float
    worth_calling: int
    quarantine: str
    readings: tuple[Reading, ...] = ()
    dialects: tuple[FilesOfDialect, ...] = ()


class PartDone(msgspec.Struct, frozen=True, kw_only=True, tag="part"):
    """A file of ranked rows that is in the output folder."""

    name: str
    rows: int
    size: int
    sha256: str
    first_rank: int
    last_rank: int


_Entry = ScorePlan | RunDone | PartDone
_decode = msgspec.json.Decoder(_Entry).decode


class Journal:
    """Entries for one output folder, one per line; an incomplete last line is discarded.

    Args:
        path: file of the journal.
    """

    def __init__(self, path: Path) -> None:
        self.plan: ScorePlan | None = None
        self.runs: list[RunDone] = []
        self.parts: list[PartDone] = []
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                self._apply(_decode(line))
            except msgspec.DecodeError as error:
                raise ConfigError(f"{path} is damaged ({error}): start over with --restart") from error
        if len(whole) < len(content):
            os.truncate(path, len(whole))

    def add(self, entry: _Entry) -> None:
        """Append an entry; it is flushed to disk on return."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._apply(entry)

    def adopt(self, plan: ScorePlan) -> bool:
        """Switch to another plan if only input files that no run has reached differ; return whether it was possible."""
        if self.plan is None or plan.is_logged or self.parts:
            return False
        begun = self.runs[-1].source + 1 if self.runs else 0
        same = msgspec.structs.replace(self.plan, inputs=plan.inputs)
        if plan.inputs[:begun] != self.plan.inputs[:begun] or same.differences(plan):
            return False
        self.add(same)
        return True

    def _apply(self, entry: _Entry) -> None:
        if isinstance(entry, ScorePlan):
            self.plan = entry
        elif isinstance(entry, RunDone):
            self.runs.append(entry)
        else:
            self.parts.append(entry)
