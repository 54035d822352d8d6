"""The months of a file: known, stated or given; what cannot be right is refused, and may be accepted by name."""

import lzma
import random
from pathlib import Path
from typing import Any

import pytest
from messages import refuses
from typer.testing import CliRunner

from deposit.cli import app
from deposit.data import dataset
from deposit.data.ingest import IngestResult, ingest
from deposit.data.sources import BUNDLED
from deposit.errors import ContractError
from deposit.sections import IngestSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
HEADER, *ROWS = lzma.decompress(BUNDLED.read_bytes()).decode().splitlines()
THIN = ROWS[::40]
MONTH, YEARS = HEADER.split(";").index('"month"'), {"2008": ROWS[:27690], "2010": ROWS[39130:]}


def of(servers: Settings, path: Path, rows: list[str], **changes: Any) -> Settings:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return servers.model_copy(update={"ingest": IngestSettings(source="file", path=path, **changes)})


def versions(servers: Settings) -> list[str]:
    return [made.version for made in dataset.versions(ObjectStore(servers.store).data)]


def months(result: IngestResult) -> tuple[str, str]:
    return result.first_period, result.last_period


def own(rows: list[str]) -> list[str]:
    """Rows of another bank: a price index of their own each month."""
    place = HEADER.split(";").index('"cons.price.idx"')
    cells = [row.split(";") for row in rows]
    return [";".join([*row[:place], f"{float(row[place]) + 1:.3f}", *row[place + 1 :]]) for row in cells]


def joined() -> list[str]:
    chance = random.Random(1)
    chosen = [chance.random() < 0.7 for _ in THIN]
    return [row for row, yes in zip(THIN, chosen, strict=True) if yes] + [
        row for row, yes in zip(THIN, chosen, strict=True) if not yes
    ]


REFUSED = {
    "joined": (joined(), {}, r"calls\.csv: line \d+: period 2008-05 comes after 2010-11: sort"),
    "joined, stated": (joined(), {"first_year": 2008}, "macro: "),
    "joined, of another bank": (own(joined()), {"first_year": 2015}, "macro: "),
    "twice": (THIN * 2, {}, "line 1032: period 2008-05 comes after 2010-11"),
    "twice, stated": (
        THIN * 2,
        {"first_year": 2008},
        "macro: .*repeated: the rows from line 1032 on repeat those .* 2",
    ),
    "each row twice": ([row for row in THIN for _ in range(2)], {}, "repeated: line 3: .*--accept repeated"),
    "a year left out": (YEARS["2008"][::40] + YEARS["2010"], {}, "gaps: .*2010-03 follows 2008-12.*--accept gaps"),
    "another year": (THIN, {"first_year": 2015}, "macro: line 2: 2015-05 .* of 2008-05 in the public data set"),
    "another bank": (own(THIN), {}, "the year of the rows is not known: add a column `period`"),
    "still to come": (own(THIN), {"first_year": 2090}, "future: line 2: 2090-05|the year would be 2091"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_months_that_cannot_be_right_publish_nothing(servers: Settings, tmp_path: Path, case: str) -> None:
    rows, changes, match = REFUSED[case]
    with refuses(ContractError, match):
        ingest(of(servers, tmp_path / "calls.csv", rows, **changes))
    assert versions(servers) == []


def test_one_month_a_year_and_another_bank_s_years_are_right(servers: Settings, tmp_path: Path) -> None:
    september = [row for row in YEARS["2010"] if row.split(";")[MONTH] == '"sep"']
    path = tmp_path / "calls.csv"
    assert months(ingest(of(servers, path, september))) == ("2010-09", "2010-09")
    assert months(ingest(of(servers, path, YEARS["2010"]))) == ("2010-03", "2010-11")
    assert months(ingest(of(servers, path, own(THIN), first_year=2015))) == ("2015-05", "2017-11")


def test_a_stated_year_gives_the_version_that_the_known_months_give(servers: Settings, tmp_path: Path) -> None:
    known = ingest(of(servers, tmp_path / "calls.csv", THIN))
    stated = ingest(of(servers, tmp_path / "calls.csv", THIN, first_year=2008))
    assert (stated.version, stated.created) == (known.version, False)


def test_what_is_accepted_by_name_is_published_and_reported(servers: Settings, tmp_path: Path) -> None:
    rows = YEARS["2008"][::40] + YEARS["2010"]
    lines: list[str] = []
    settings = of(servers, tmp_path / "calls.csv", rows, accept=["gaps"])
    result = ingest(settings, lambda message, done=0, total=0: lines.append(message))
    assert months(result) == ("2008-05", "2010-11")
    (line,) = [line for line in lines if line.startswith("accepted")]
    assert "gaps: line " in line
    assert "2010-03 follows 2008-12, 14 months are missing" in line


def test_the_command_takes_year_and_rules(servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = of(servers, tmp_path / "calls.csv", own(YEARS["2008"][::40] + YEARS["2010"][::4]))
    monkeypatch.setattr("deposit.cli.model_commands.load_settings", lambda: settings)
    done = CliRunner().invoke(app, ["ingest", "--first-year", "2015", "--accept", "gaps", "--accept", "future"])
    assert done.exit_code == 0, done.output
    assert "2015-05 to 2016-11" in done.output
    wrong = CliRunner().invoke(app, ["ingest", "--accept", "order"])
    assert wrong.exit_code == 2
    assert "macro" in wrong.output
