"""A dictionary-encoded text column, which stores each distinct text once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CodedTexts:
    """A text column in which row `i` holds `texts[codes[i]]`; converts to a NumPy or Arrow array of these texts.

    Args:
        texts: distinct texts; some may occur in no row.
        codes: index of each row's text, shape (n,).
    """

    texts: tuple[str, ...]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, place: Any) -> Any:
        """Return one row's text, or the rows that a mask, a slice or an index array selects."""
        codes = self.codes[place]
        return self.texts[codes] if np.ndim(codes) == 0 else CodedTexts(self.texts, codes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        texts = np.empty(len(self.texts), dtype=object)
        texts[:] = self.texts
        return texts[self.codes]

    def __arrow_array__(self, type: Any = None) -> Any:  # noqa: A002 - the parameter name is Arrow's
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(pa.array(self.codes), pa.array(self.texts, pa.string()))
