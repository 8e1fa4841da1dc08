"""Images that stay where they are, on disk or repeated, until they are read."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

Ids = slice | Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class LazyImages:
    """Rows `ids` of an array of images [n, h, w, c], which may be memory-mapped."""

    array: np.ndarray
    ids: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of all axes, those of an array of the images."""
        return (len(self.ids), *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The type of pixels."""
        return self.array.dtype

    @property
    def size(self) -> int:
        """The number of pixels' values, over all images and channels."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, ids: Ids) -> np.ndarray:
        """The images at these positions, read now: [ids, h, w, c]."""
        return self.array[self.ids[ids]]

    def select(self, ids: Ids) -> "LazyImages":
        """Some of the rows, still unread."""
        return LazyImages(self.array, self.ids[ids])
