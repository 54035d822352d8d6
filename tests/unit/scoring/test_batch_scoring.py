import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
from pyarrow import parquet

from deposit.data.readings import Reading
from deposit.data.tables.dialect import FilesOfDialect
from deposit.errors import ContractError, SourceError
from deposit.model.artifact import ModelArtifact
from deposit.scoring import batch_scoring, ranked_parts
from deposit.scoring.batch_scoring import BatchScoring
from deposit.scoring.output import MANIFEST

Make = Callable[..., BatchScoring]


def _results(folder: Path) -> pd.DataFrame:
    return pyarrow.dataset.dataset(folder).to_table().to_pandas()


def _expected(artifact: ModelArtifact, customers: pd.DataFrame) -> pd.Series:
    rows = customers.drop(columns="id").to_numpy(dtype=object).tolist()
    return pd.Series(artifact.probabilities(artifact.encoder.encode_rows(rows)), index=customers["id"])


def test_each_row_has_the_probability_that_the_service_gives_it(
    make_scoring: Make, artifact: ModelArtifact, customers: pd.DataFrame, tmp_path: Path
) -> None:
    customers.to_parquet(tmp_path / "rows.parquet", row_group_size=700)
    manifest = make_scoring(tmp_path / "rows.parquet").run()
    results = _results(tmp_path / "out").set_index("id")
    expected = _expected(artifact, customers)
    assert (results["probability"] == expected[results.index]).all()
    assert (results["expected_value"] == results["probability"] * 10.0 - 1.0).all()
    assert (results["rank"] == expected.rank(ascending=False, method="min")[results.index]).all()
    assert results["rank"].is_monotonic_increasing
    assert set(results["model_id"]) == {"deposit-v3"}
    assert results["prediction_id"].isna().all()
    assert (manifest.rows, manifest.rejected) == (len(customers), 0)
    assert manifest.expected_subscriptions == pytest.approx(expected.sum())
    assert manifest.worth_calling == (expected > 0.1).sum()


def test_csv_and_parquet_give_the_same(make_scoring: Make, customers: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    customers.iloc[:1000].to_parquet(folder / "a.parquet")
    customers.iloc[1000:2000].to_csv(folder / "b.csv", sep=";", index=False, decimal=",")
    customers.iloc[2000:].astype("category").to_parquet(folder / "c.parquet")
    customers.iloc[:0].to_csv(folder / "d.csv.gz", index=False)
    manifest = make_scoring(folder).run()
    mixed = _results(tmp_path / "out")
    assert len(manifest.plan.inputs) == 4
    customers.to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "scratch" / "journal.jsonl").unlink()
    make_scoring(tmp_path / "whole.parquet").run()
    pd.testing.assert_frame_equal(mixed, _results(tmp_path / "out"))


def test_bad_rows_are_in_quarantine_with_file_line_and_reason(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path
) -> None:
    rows = customers.iloc[:6].astype({"age": float}).reset_index(drop=True)
    rows.loc[1, "contact"] = "fax"
    rows.loc[3, "age"] = np.nan
    rows.loc[3, "job"] = None
    rows.loc[4, "euribor3m"] = 99.5
    (tmp_path / "in").mkdir()
    rows.to_parquet(tmp_path / "in" / "a.parquet")
    text = rows.to_csv(index=False).splitlines()
    (tmp_path / "in" / "b.csv").write_text("\n".join([*text[:3], "", text[6] + ",more", *text[3:]]) + "\n")
    manifest = make_scoring(tmp_path / "in").run()
    assert (manifest.rows, manifest.rejected) == (6, 7)
    bad = pd.concat(pd.read_csv(tmp_path / "out" / name) for name in manifest.quarantine)
    assert [(Path(file).name, line) for file, line in zip(bad["file"], bad["line"], strict=True)] == [
        ("a.parquet", 2), ("a.parquet", 4), ("a.parquet", 5), ("b.csv", 3), ("b.csv", 5), ("b.csv", 7), ("b.csv", 8)
    ]  # fmt: skip
    reasons = bad["reason"].tolist()
    assert reasons[0] == reasons[3] == "contact must be one of cellular, telephone; got 'fax'"
    assert reasons[1] == reasons[5]
    assert "age is empty" in reasons[1]
    assert "job is empty" in reasons[1]
    assert reasons[2] == "euribor3m must be a number from -5 to 20; got '99.5'"
    assert reasons[4] == "has 21 cells, the header has 20"
    assert len(_results(tmp_path / "out")) == 6


def test_a_charset_holds_for_text_and_what_was_read_by_its_spelling_is_in_the_manifest(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path
) -> None:
    rows = customers.head(4).assign(id=["Łódź", "Žižkov", "c", "d"], marital=["MARRIED", "MARRIED", "single", "Single"])
    (tmp_path / "in").mkdir()
    rows.assign(age=["old", *[40] * 3]).to_csv(tmp_path / "in" / "a.csv", index=False, encoding="windows-1250")
    rows.to_parquet(tmp_path / "in" / "b.parquet")
    with pytest.raises(SourceError, match="is not UTF-8"):
        make_scoring(tmp_path / "in").run()
    (tmp_path / "scratch" / "journal.jsonl").unlink()
    manifest = make_scoring(tmp_path / "in", charset="cp1250").run()
    assert (manifest.rows, manifest.rejected) == (7, 1)
    assert set(_results(tmp_path / "out")["id"]) == set(rows["id"])
    assert manifest.readings == (Reading("marital", "MARRIED", "married", 3), Reading("marital", "Single", "single", 2))
    content = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert content["readings"][0] == {"column": "marital", "text": "MARRIED", "value": "married", "cells": 3}
    assert content["dialects"] == [{"charset": "windows-1250", "separator": "comma", "header_line": 1, "files": 1}]


def test_without_ids_a_row_is_known_by_its_number(make_scoring: Make, customers: pd.DataFrame, tmp_path: Path) -> None:
    bare = customers.drop(columns="id")
    bare.iloc[:50].to_csv(tmp_path / "a.csv", index=False)
    bare.iloc[50:100].to_parquet(tmp_path / "b.parquet")
    make_scoring(tmp_path / "[ab].*").run()
    assert sorted(_results(tmp_path / "out")["id"].astype(int)) == list(range(1, 101))


def test_what_the_folders_say_of_their_rows_counts(make_scoring: Make, customers: pd.DataFrame, tmp_path: Path) -> None:
    for month, rows in customers.groupby("month"):
        folder = tmp_path / "in" / f"Month={month}"
        folder.mkdir(parents=True)
        bare = rows.drop(columns="month")
        if month == "may":
            bare.to_csv(folder / "rows.csv", index=False)
        else:
            bare.to_parquet(folder / "rows.parquet")
    make_scoring(tmp_path / "in").run()
    partitioned = _results(tmp_path / "out").set_index("id")["probability"]
    (tmp_path / "scratch" / "journal.jsonl").unlink()
    customers.to_parquet(tmp_path / "whole.parquet")
    make_scoring(tmp_path / "whole.parquet").run()
    whole = _results(tmp_path / "out").set_index("id")["probability"]
    assert (partitioned == whole[partitioned.index]).all()


class KilledError(Exception):
    """Ends a run between two steps."""


@pytest.mark.parametrize("steps", range(12))
def test_a_run_that_is_killed_anywhere_goes_on_and_ends_in_the_same_bytes(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(batch_scoring, "RUN_ROWS", 1000)
    monkeypatch.setattr(ranked_parts, "PART_ROWS", 1500)
    monkeypatch.setattr(ranked_parts, "_GROUP_ROWS", 500)
    monkeypatch.setattr(batch_scoring, "PART_ROWS", 1500)
    monkeypatch.setattr("deposit.scoring.reading.BLOCK_ROWS", 300)
    monkeypatch.setattr("deposit.data.blocks.BLOCK_ROWS", 300)
    (tmp_path / "in").mkdir()
    customers.assign(age=customers["age"].where(customers.index % 100 > 0, 7)).iloc[:2500].to_parquet(
        tmp_path / "in" / "a.parquet", row_group_size=400
    )
    customers.iloc[2500:].assign(contact="Cellular").to_csv(tmp_path / "in" / "b.csv", index=False)
    first = make_scoring(tmp_path / "in").run()
    assert first.readings == (Reading("contact", "Cellular", "cellular", len(customers) - 2500),)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for path in (tmp_path / "out").rglob("*.*"):
        path.unlink()
    (tmp_path / "scratch" / "journal.jsonl").unlink()

    scoring, left = make_scoring(tmp_path / "in"), iter(range(steps))
    add = scoring.journal.add

    def add_or_die(entry: object) -> None:
        if next(left, None) is None:
            raise KilledError
        add(entry)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring.journal, "add", add_or_die)
    scored_before = 0
    try:
        manifest = scoring.run()
    except KilledError:
        assert not (tmp_path / "out" / MANIFEST).exists()
        scored_before = sum(run.rows for run in scoring.journal.runs)
        scoring = make_scoring(tmp_path / "in")
        assert sum(run.rows for run in scoring.journal.runs) == scored_before
        manifest = scoring.run()
    assert (manifest.readings, manifest.dialects) == (first.readings, first.dialects)
    assert first.dialects == (FilesOfDialect("utf-8", "comma", 1, files=1),)
    again = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert again.keys() == whole.keys()
    assert {name for name in whole if name != MANIFEST and again[name] != whole[name]} == set()
    assert len([name for name in whole if name.startswith("part-")]) == 3


def test_a_file_that_changes_while_it_is_read_is_refused(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path
) -> None:
    customers.to_csv(tmp_path / "rows.csv", index=False)
    scoring = make_scoring(tmp_path / "rows.csv")
    customers.iloc[:-1].to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(SourceError, match="has changed while it was read"):
        scoring.run()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda rows: rows.drop(columns=["job", "age"]), ContractError, "missing column age, job"),
        (
            lambda rows: rows.rename(columns={"job": "Jobs"}),
            ContractError,
            r"missing column job \(is it 'Jobs'\?\): add",
        ),
        (lambda rows: rows.assign(age=[[1]] * len(rows)), SourceError, "column age holds lists"),
        (lambda rows: rows.assign(AGE=rows["age"]), ContractError, "column age occurs more than once"),
        (lambda rows: rows.assign(contact="fax"), ContractError, "no row is valid, .*got 'fax'"),
        (lambda rows: rows.iloc[:0], ContractError, "no row under them"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_by_name(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path, change: Callable, error: type, message: str
) -> None:
    change(customers.head(5)).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(error) as refused:
        make_scoring(tmp_path / "rows.parquet").run()
    assert re.search(message, refused.value.whole)
    assert len(str(refused.value).removeprefix(str(tmp_path))) < 200
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.parametrize("damage", ["cut off", "pages"])
def test_a_damaged_parquet_file_is_refused(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path, damage: str
) -> None:
    customers.to_parquet(tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    damaged = content[: len(content) // 2] if damage == "cut off" else content[:60] + bytes(900) + content[960:]
    (tmp_path / "bad.parquet").write_bytes(damaged)
    with pytest.raises(SourceError, match=r"bad\.parquet: this is not a complete, readable \.parquet file"):
        make_scoring(tmp_path / "bad.parquet").run()


UUIDS = [f"{number:032x}" for number in range(5)]


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        (pa.array([2**53 - 1, 7, 8, 9, 10]), ["9007199254740991", "7", "8", "9", "10"]),
        (pa.array([1e15, None, 8, 9, 10]), ["1000000000000000", None, "8", "9", "10"]),
        (pa.array([bytes.fromhex(each) for each in UUIDS], pa.uuid()), [str(UUID(each)) for each in UUIDS]),
        (pa.array([b"a", b"b", None, b"c", b"d"]), ["a", "b", None, "c", "d"]),
        (pa.array(list("abcde")).dictionary_encode(), list("abcde")),
        (pa.array(list("abcde"), pa.large_string()), list("abcde")),
        (pa.array([1.5, 2, 3, 4, 5]), "column id holds numbers with fractions"),
        (pa.array([1e17, 2, 3, 4, 5]), "column id holds numbers with fractions, or too large"),
        (pa.array([b"\xff\xfe"] * 5), "column id holds binary, which is no text in UTF-8"),
    ],
)
def test_ids_of_any_type_come_out_as_they_are_read(
    make_scoring: Make, customers: pd.DataFrame, tmp_path: Path, ids: pa.Array, texts: list[str | None] | str
) -> None:
    rows = pa.Table.from_pandas(customers.head(5).drop(columns="id"), preserve_index=False).append_column("id", ids)
    parquet.write_table(rows, tmp_path / "rows.parquet")
    if isinstance(texts, str):
        with pytest.raises(SourceError, match=texts):
            make_scoring(tmp_path / "rows.parquet").run()
        return
    make_scoring(tmp_path / "rows.parquet").run()
    results = parquet.read_table(tmp_path / "out" / "part-00000.parquet").to_pandas()
    assert set(results["id"].fillna("")) == {text or "" for text in texts}
