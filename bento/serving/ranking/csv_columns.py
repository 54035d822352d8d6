"""Columns of the CSV response as text, built as whole arrays without the GIL; one Python object per cell costs more."""

from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from deposit.data.tables.records import Records, read_at
from serving.recorder import hyphenated

TEXT = pa.large_string()
_WINDOW = 4 * 2**20
"""Maximum number of bytes of the list that are read at a time."""
_PLAIN = (1e-4, 1e9)
"""Range in which Arrow formats fractions as Python does; outside, one of the two uses an exponent."""


def own_cells(file: IO[bytes], records: Records, numbers: NDArray[np.int64]) -> pa.Array:
    """Return rows as they are in the file, in the given order; reads the file sequentially, a few MiB at a time."""
    order = np.argsort(numbers)
    starts, ends = records.starts[numbers[order]], records.ends[numbers[order]]
    pieces, first = [], 0
    while first < len(numbers):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + _WINDOW, side="right")))
        content = read_at(file, int(starts[first]), int(ends[last - 1] - starts[first]))
        # alternately the rows and the bytes between them
        edges = np.stack([starts[first:last], ends[first:last]], axis=1).reshape(-1) - starts[first]
        buffers = [None, pa.py_buffer(edges), pa.py_buffer(content)]
        both = pa.Array.from_buffers(TEXT, len(edges) - 1, buffers)
        pieces.append(both.take(pa.array(np.arange(0, len(edges), 2))))
        first = last
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    together = pa.concat_arrays(pieces)
    del pieces
    return together.take(pa.array(back))


def identifiers(ids: NDArray[np.uint8]) -> pa.Array:
    """Format ids, shape (n, 16), as UUIDs, like `recorder.hyphenated`."""
    shown = hyphenated(ids.tobytes())
    edges = np.arange(len(ids) + 1, dtype=np.int64) * shown.shape[1]
    return pa.Array.from_buffers(TEXT, len(ids), [None, pa.py_buffer(edges), pa.py_buffer(shown)])


def decimals(values: NDArray[np.float64]) -> pa.Array:
    """Format numbers like Python's `repr`: the shortest text that parses to the same number."""
    size: Any = np.abs(values)
    apart = ~((size >= _PLAIN[0]) & (size < _PLAIN[1]) & (values != np.floor(values)))
    texts = pa.array(values).cast(TEXT)
    if not apart.any():
        return texts
    return compute.replace_with_mask(texts, pa.array(apart), pa.array(map(repr, values[apart].tolist()), TEXT))
