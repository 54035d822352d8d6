"""What a run has done so far, on the disk of this machine: a killed run goes on from there."""

import os
from pathlib import Path

import msgspec

from deposit.data.readings import Reading
from deposit.errors import ConfigError
from deposit.scoring.inputs import InputFile


class ScorePlan(msgspec.Struct, frozen=True, kw_only=True, tag="plan"):
    """What a run is to do; the next run goes on with it if all but `run_id` and `event_time` are the same.

    Args:
        run_id: 32 hexadecimal digits, new for each run.
        output: the folder of the results.
        inputs: in order.
        model_id: which model scores.
        deposit_value: of the economics, as `call_cost`.
        period: month or day that the predictions count as made in; empty means now.
        is_logged: whether they go to the table `predictions`.
        event_time: when they count as made, µs since the epoch.
        charset: of inputs that are text, as Python's codecs call it; empty means UTF-8.
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
        """What another plan does otherwise, in words."""
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
    """Rows that were scored, logged if they are to be, and kept as a sorted run.

    Args:
        source: number of the input file that the last of them is in.
        end: rows of that file up to the last of them.
        rows: all of them.
        rejected: the bad ones.
        expected_subscriptions: probabilities, added up.
        worth_calling: rows whose expected value is above 0.
        quarantine: name of the file with the bad ones; empty if there are none.
        readings: what of the good ones was read by its spelling.
    """

    source: int
    end: int
    rows: int
    rejected: int
    expected_subscriptions: float
    worth_calling: int
    quarantine: str
    readings: tuple[Reading, ...] = ()


class PartDone(msgspec.Struct, frozen=True, kw_only=True, tag="part"):
    """A file of ranked rows that is where it belongs."""

    name: str
    rows: int
    size: int
    sha256: str
    first_rank: int
    last_rank: int


_Entry = ScorePlan | RunDone | PartDone
_decode = msgspec.json.Decoder(_Entry).decode


class Journal:
    """The entries of one output folder, a line each; a line that was not finished is as if never begun.

    Args:
        path: of the file.
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
                self._keep(_decode(line))
            except msgspec.DecodeError as error:
                raise ConfigError(f"{path} is damaged ({error}): begin anew with --restart") from error
        if len(whole) < len(content):
            os.truncate(path, len(whole))

    def add(self, entry: _Entry) -> None:
        """Keep an entry; on return it is on the disk."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(entry)

    def takes(self, plan: ScorePlan) -> bool:
        """Go on with another plan, if no more than files that no run has come to are other ones; whether it did."""
        if self.plan is None or plan.is_logged or self.parts:
            return False
        begun = self.runs[-1].source + 1 if self.runs else 0
        same = msgspec.structs.replace(self.plan, inputs=plan.inputs)
        if plan.inputs[:begun] != self.plan.inputs[:begun] or same.differences(plan):
            return False
        self.add(same)
        return True

    def _keep(self, entry: _Entry) -> None:
        if isinstance(entry, ScorePlan):
            self.plan = entry
        elif isinstance(entry, RunDone):
            self.runs.append(entry)
        else:
            self.parts.append(entry)
