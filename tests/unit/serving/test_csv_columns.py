import io

import numpy as np

from deposit.data.tables.header import read_header
from deposit.data.tables.records import find_records
from serving.ranking.csv_columns import decimals, identifiers, own_cells
from serving.recorder import new_ids, texts


def test_numbers_are_written_as_python_does() -> None:
    generator = np.random.default_rng(1)
    wide = (generator.random(20_000) - 0.5) * 10.0 ** generator.integers(-12, 20, 20_000)
    edges = [0.0, -0.0, 1.0, -1.0, 1e-4, 0.5, 9e-5, 1e9, 1e16, 999_999_999.5, 1e-300, 0.1]
    values = np.concatenate([wide, generator.random(20_000), edges])
    assert decimals(values).to_pylist() == [repr(value) for value in values.tolist()]


def test_identifiers_are_written_as_elsewhere() -> None:
    ids = new_ids(500)
    assert identifiers(np.frombuffer(ids, np.uint8).reshape(-1, 16)).to_pylist() == texts(ids)


def test_rows_come_as_they_stand_in_the_order_asked_for() -> None:
    # longer than what is read at once, with blank lines, line ends of two bytes and cells over two lines
    rows = [f'{number};"ä\r\n{"x" * (number % 700)}"' for number in range(20_000)]
    file = io.BytesIO(("a;b\r\n" + "\r\n\r\n".join(rows) + "\r\n").encode())
    header = read_header(file, ("a", "b"))
    records = find_records(file, header)
    chosen = np.random.default_rng(2).permutation(len(rows))
    assert own_cells(file, records, chosen).to_pylist() == [rows[number] for number in chosen]
    assert own_cells(file, records, np.array([7])).to_pylist() == [rows[7]]
