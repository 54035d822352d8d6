"""A column of texts of which each distinct one is kept once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CodedTexts:
    """Row `i` holds `texts[codes[i]]`; as an array, or one of Arrow's, it is what it stands for.

    Args:
        texts: the distinct ones, and some perhaps that no row has.
        codes: of the rows, shape (n,).
    """

    texts: tuple[str, ...]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, place: Any) -> Any:
        """One row's text, or the rows of a mask, a slice or an array of places."""
        codes = self.codes[place]
        return self.texts[codes] if np.ndim(codes) == 0 else CodedTexts(self.texts, codes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        texts = np.empty(len(self.texts), dtype=object)
        texts[:] = self.texts
        return texts[self.codes]

    def __arrow_array__(self, type: Any = None) -> Any:  # noqa: A002 - Arrow's names
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(pa.array(self.codes), pa.array(self.texts, pa.string()))
