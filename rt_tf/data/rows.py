"""Examples' inputs as rows of an array, which may stay on disk until they are read."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

Ids = slice | Sequence[int] | np.ndarray
AT_ONCE = 1000  # rows read together, then used one after another


@dataclasses.dataclass(frozen=True, eq=False)
class LazyRows:
    """Rows `ids` of an array [n, ...], which may be memory-mapped, read when they are used."""

    array: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, array: np.ndarray) -> "LazyRows":
        """All rows of an array."""
        return cls(array, np.arange(len(array)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of all axes, those of an array of the rows."""
        return (len(self.ids), *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The type of the rows' values."""
        return self.array.dtype

    @property
    def size(self) -> int:
        """The number of values of all rows."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all rows."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, ids: Ids) -> np.ndarray:
        """The rows at these positions, read now: [ids, ...]."""
        return self.array[self.ids[ids]]

    def select(self, ids: Ids) -> "LazyRows":
        """Some of the rows, still unread."""
        return LazyRows(self.array, self.ids[ids])


Rows: TypeAlias = np.ndarray | LazyRows


def portions(rows: Rows) -> Iterator[tuple[int, np.ndarray]]:
    """All rows, some at a time: the place of the first of them, and they, [some, ...]."""
    for begin in range(0, len(rows), AT_ONCE):
        yield begin, rows[begin : begin + AT_ONCE]


def select(rows: Rows, ids: Ids) -> Rows:
    """Some of the rows, unread if these are."""
    return rows.select(ids) if isinstance(rows, LazyRows) else rows[ids]
