"""What a person reads of the measurements: `RESULTS.md`, its tables in the terminal, and JSON beside it."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestants import GATEWAY, SERVICE, Peer
from benchmarks.load import Load
from benchmarks.measurement import LOADS, Round, Sample
from benchmarks.processes import Cores
from benchmarks.ranking import Ranked

Row = list[str]
_OF_LISTS = ("first", "seconds", "cpu", "before", "peak")
SINGLE, SINGLE_BUSY, MANY, MANY_BUSY = LOADS
_THROUGH = f"({SERVICE}) through the gateway of the whole stack, whose other parts have nothing to do"


@dataclass(frozen=True)
class Table:
    """A table of either form."""

    title: str
    columns: list[str]
    rows: list[Row]

    def markdown(self) -> str:
        """With the title as a heading."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"## {self.title}\n\n{body}\n"


@dataclass(frozen=True)
class Report:
    """Everything measured; the ranked lists by the letters of the ways that they went."""

    peers: Sequence[Peer]
    rounds: Sequence[Round]
    ranked: Mapping[str, Sequence[Ranked]]
    machine: Mapping[str, str]
    cores: Cores
    seconds: int

    def tables(self) -> list[Table]:
        """All tables, the verdict first."""
        return [self._targets(), *(self._under(load) for load in LOADS), self._start(), self._lists()]

    def markdown(self) -> str:
        """The whole of `RESULTS.md`."""
        peers = "\n".join(f"- **({letter})** {title}" for letter, title in self._titles().items())
        machine = "\n".join(f"- {subject}: {text}" for subject, text in self.machine.items())
        tables = "\n".join(table.markdown() for table in self.tables())
        head = f"# Benchmarks\n\nMade by `make bench`.\n\n{peers}\n\n{self._method()}"
        return f"{head}\n\n{tables}\n## Machine\n\n{machine}\n"

    def write(self, folder: Path) -> None:
        """`RESULTS.md` and `results.json`."""
        (folder / "RESULTS.md").write_text(self.markdown())
        content = {
            "machine": self.machine,
            "seconds": self.seconds,
            "peers": self._titles(),
            "rounds": [_plain(measured) for measured in self.rounds],
            "rank": {letter: [ranked._asdict() for ranked in lists] for letter, lists in self.ranked.items()},
        }
        (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")

    def _targets(self) -> Table:
        rate, tail = (lambda sample: sample.result.requests / sample.result.seconds), (lambda sample: sample.result.p99)
        lists = self.ranked[GATEWAY]
        goals = [
            ("requests/s, 1 row, 8 connections: (e) / (a)", self._ratios("e", "a", SINGLE, rate), 30, True),
            ("requests/s, 1 row, 64 connections: (e) / (a)", self._ratios("e", "a", SINGLE_BUSY, rate), 60, True),
            ("requests/s, 100 rows, 8 connections: (e) / (a)", self._ratios("e", "a", MANY, rate), 15, True),
            ("requests/s, 100 rows, 64 connections: (e) / (a)", self._ratios("e", "a", MANY_BUSY, rate), 15, True),
            ("requests/s, 1 row, 8 connections: (c) / (a)", self._ratios("c", "a", SINGLE, rate), 15, True),
            ("requests/s, 1 row, 64 connections: (c) / (a)", self._ratios("c", "a", SINGLE_BUSY, rate), 15, True),
            ("requests/s, 1 row, 8 connections: (c) / (d)", self._ratios("c", "d", SINGLE, rate), 0.5, True),
            ("requests/s, 1 row, 64 connections: (c) / (d)", self._ratios("c", "d", SINGLE_BUSY, rate), 0.5, True),
            ("p99, 1 row, 64 connections: (c) / (a)", self._ratios("c", "a", SINGLE_BUSY, tail), 0.1, False),
            ("rows/s, 100 rows, 8 connections: (c) / (a)", self._ratios("c", "a", MANY, rate), 10, True),
            ("(e) `POST /rank`, rows/s", [ranked.rows / ranked.seconds for ranked in lists], 200_000, True),
            ("(e) `POST /rank`, seconds to the answer's first byte", [ranked.first for ranked in lists], 5, False),
            ("(e) `POST /rank`, peak memory of the service, MiB", [ranked.peak for ranked in lists], 400, False),
        ]
        rows = [_goal(*goal) for goal in goals]
        return Table("What was aimed at", ["measure", "median (lowest..highest)", "target", "met"], rows)

    def _ratios(self, one: str, other: str, load: Load, value: Callable[[Sample], float]) -> list[float]:
        """Of the same round, minutes apart at most."""
        return [value(each.samples[one, load]) / value(each.samples[other, load]) for each in self.rounds]

    def _under(self, load: Load) -> Table:
        columns = ["", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU-s a 1,000", "gateway: CPU-s a 1,000",
                   "database, shipper: CPU-s a 1,000", "errors"]  # fmt: skip
        title = f"{load.rows} row{'s' * (load.rows > 1)} a request, {load.connections} connections"
        return Table(title, columns, [self._line(letter, load) for letter in self._titles()])

    def _line(self, letter: str, load: Load) -> Row:
        samples = [each.samples[letter, load] for each in self.rounds]
        rates = [sample.result.requests / sample.result.seconds for sample in samples]
        thousands = [sample.result.requests / 1000 for sample in samples]
        return [
            f"({letter})",
            spread(rates),
            *(spread([getattr(sample.result, name) for sample in samples]) for name in ("p50", "p95", "p99")),
            spread([sample.server / count for sample, count in zip(samples, thousands, strict=True)]),
            *(
                spread([getattr(sample, part) / count for sample, count in zip(samples, thousands, strict=True)])
                if any(getattr(sample, part) for sample in samples) else ""
                for part in ("gateway", "beside")
            ),
            str(sum(sample.result.errors for sample in samples)),
        ]  # fmt: skip

    def _start(self) -> Table:
        rows = [
            [
                f"({peer.letter})",
                spread([each.cold[peer.letter] for each in self.rounds]),
                spread([each.memory[peer.letter].rss for each in self.rounds]),
                spread([each.memory[peer.letter].pss for each in self.rounds]),
            ]
            for peer in self.peers
        ]
        return Table(
            "Start and memory",
            ["", "start to first answer, s", "resident, MiB", "proportional (PSS), MiB"],
            rows,
        )

    def _lists(self) -> Table:
        columns = ["", "rows/s", "s to the first byte", "s", "CPU-s", "resident before, MiB", "peak, MiB", "answer, MB"]
        rows = [
            [
                f"({letter})",
                spread(ranked.rows / ranked.seconds for ranked in lists),
                *(spread(getattr(ranked, name) for ranked in lists) for name in _OF_LISTS),
                spread(ranked.received / 1e6 for ranked in lists),
            ]
            for letter, lists in self.ranked.items()
        ]
        return Table("`POST /rank` of a million rows, CSV in, ranked CSV out; the service's memory", columns, rows)

    def _titles(self) -> dict[str, str]:
        return {peer.letter: peer.title for peer in self.peers} | {GATEWAY: _THROUGH}

    def _method(self) -> str:
        apart = not self.cores.server & self.cores.others
        pinned = (
            "The measured server has one core for itself; wrk, PostgreSQL and the shipper share the rest, and the "
            "stack with its gateway takes of all what it needs"
            if apart
            else "**Server, wrk and PostgreSQL share one core**, so that the figures of all peers are too low"
        )
        return (
            f"All peers score the same real rows with the same recipe, one worker and one thread of XGBoost each. "
            f"{pinned}. {len(self.rounds)} rounds; in each, every peer is started anew and gets each load for "
            f"{self.seconds} s after one second of warming up, the peers in turn. Cells show the median of the rounds "
            "and, in brackets, the lowest and the highest. Before it is timed, each answer of a peer is compared with "
            "its model; afterwards the logs of (a) and (c) must hold everything that was answered, (e)'s too. (a) "
            "stores before it answers; (c) has it on the disk by then, and its shipper rests while a burst lasts, so "
            "part of it reaches PostgreSQL after the load, before the next one: *database, shipper* counts it all. The "
            "gateway is that of a stack that `deposit up` has started, with nothing to do but this. wrk waits for "
            "each answer before it asks again on a connection, so that a slow server is asked less."
        )


def spread(values: Iterable[float]) -> str:
    """Median, lowest, highest."""
    ordered = sorted(values)
    return f"{_short(statistics.median(ordered))} ({_short(ordered[0])}..{_short(ordered[-1])})"


def _goal(measure: str, values: list[float], target: float, at_least: bool) -> Row:
    sign = "≥" if at_least else "≤"
    middle = statistics.median(values)
    met = middle >= target if at_least else middle <= target
    return [measure, spread(values), f"{sign} {_short(target)}", "yes" if met else "**no**"]


def _short(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _plain(measured: Round) -> dict[str, Any]:
    return {
        "cold": measured.cold,
        "memory": {letter: held._asdict() for letter, held in measured.memory.items()},
        "samples": [
            {"peer": letter, **load._asdict(), **sample._asdict(), "result": sample.result._asdict()}
            for (letter, load), sample in measured.samples.items()
        ],
    }
