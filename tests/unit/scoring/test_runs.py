from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deposit.scoring import runs


def _kept(probabilities: list[float], sizes: list[int], folder: Path) -> list[Path]:
    paths, first = [], 0
    for number, size in enumerate(sizes):
        part = np.array(probabilities[first : first + size], dtype=np.float64)
        numbers = np.arange(first, first + len(part))
        paths.append(folder / f"{number}.arrow")
        runs.write_run(paths[-1], pa.table([part, numbers, [f"c{each}" for each in numbers]], schema=runs.SCHEMA))
        first += size
    return paths


def _ranks(probabilities: list[float]) -> list[int]:
    return [1 + sum(other > each for other in probabilities) for each in probabilities]


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.2500000001, 0.9, 1.0]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    fan_in=st.integers(2, 5),
    batch=st.integers(1, 7),
)
def test_ranks_are_those_of_competitions_however_the_rows_were_cut(
    probabilities: list[float], cuts: list[int], fan_in: int, batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sizes = (cuts * len(probabilities))[: len(probabilities)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "FAN_IN", fan_in)
        patch.setattr(runs, "_BATCH_ROWS", batch)
        patch.setattr(runs, "_HELD_ROWS", batch)
        folder = tmp_path_factory.mktemp("runs")
        table = pa.concat_tables(runs.merge_runs(_kept(probabilities, sizes, folder), folder))
    expected = sorted(range(len(probabilities)), key=lambda row: -probabilities[row])
    assert table["row"].to_pylist() == expected
    assert table["id"].to_pylist() == [f"c{row}" for row in expected]
    ranks = _ranks(probabilities)
    assert table["rank"].to_pylist() == [ranks[row] for row in expected]


@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.3 + 2**-54, 1.0])), max_size=300))
def test_the_best_first_are_in_the_order_of_a_stable_sort(probabilities: list[float]) -> None:
    values = np.array(probabilities, dtype=np.float64)
    assert runs.best_first(values).tolist() == np.argsort(-values, kind="stable").tolist()


def test_a_run_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def tables():
        yield pa.table([[0.5], [0], ["a"]], schema=runs.SCHEMA)
        raise KilledError

    with pytest.raises(KilledError):
        runs._write(tmp_path / "run.arrow", tables())
    assert not (tmp_path / "run.arrow").exists()
