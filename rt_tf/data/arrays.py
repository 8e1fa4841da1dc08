"""Examples of a user's own, in arrays."""

import dataclasses
import functools
import hashlib

import numpy as np

from rt_tf.data.rows import Ids

ALL = slice(None)


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayExamples:
    """Examples as the network reads them, in a given order.

    values: float32 [n, ...]; labels: int64 [n]. name: of the split, as records call it.
    """

    values: np.ndarray
    labels: np.ndarray
    name: str = "test"

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def index(self) -> np.ndarray:
        """Each example's position: int64 [n]."""
        return np.arange(len(self), dtype=np.int64)

    def images(self, ids: Ids = ALL) -> np.ndarray:
        """Some of the examples: float32 [ids, ...]."""
        return self.values[ids]

    def hashes(self, ids: Ids = ALL) -> list[str]:
        """The first 16 hexadecimal digits of the SHA-256 of each example's bytes."""
        return [hashlib.sha256(value.tobytes()).hexdigest()[:16] for value in self.values[ids]]

    @property
    def checksum(self) -> str:
        """SHA-256 of all values, then all labels (little-endian), in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.values, "<f4").tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
