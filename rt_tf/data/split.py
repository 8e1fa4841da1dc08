"""A split of a data set: its rows, their labels and their checksums."""

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from rt_tf.data.augment import Augmentation
from rt_tf.data.rows import AT_ONCE, Ids, Rows, portions, select
from rt_tf.domain import UNIT, Domain

ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a canonical order.

    rows: [n, ...], in memory or read when used: images in uint8, 0..pixel_max, or, where pixel_max
    is None, values as networks read them. labels: int64 [n]. index: int64 [n], each example's
    position in the split that it comes from. domain: of the values that networks read; of images
    two numbers, for black and white.
    """

    name: str
    rows: Rows
    labels: np.ndarray
    index: np.ndarray
    pixel_max: int | None
    augmentation: Augmentation | None = None
    domain: Domain = UNIT

    def __post_init__(self) -> None:
        for array in (self.rows, self.labels, self.index):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, ids: Ids = ALL) -> np.ndarray:
        """Examples as the networks read them: float32 in the domain, [ids, ...]."""
        if self.pixel_max is None:
            return self.rows[ids].astype(np.float32)
        if self.domain is UNIT:
            return self.rows[ids].astype(np.float32) / np.float32(self.pixel_max)
        scale, offset = self.scaling
        return (self.rows[ids] * scale + offset).astype(np.float32)

    @property
    def scaling(self) -> tuple[float, float]:
        """The factor of rows and the number added to them, in float64, for the domain."""
        if self.pixel_max is None:
            return 1.0, 0.0
        low, high = float(self.domain.lower), float(self.domain.upper)
        return (high - low) / self.pixel_max, low

    def portions(self) -> Iterator[np.ndarray]:
        """All examples, in the form of `images`, some at a time: [some, ...] each."""
        for begin in range(0, len(self), AT_ONCE):
            yield self.images(slice(begin, begin + AT_ONCE))

    def hashes(self, ids: Ids = ALL) -> list[str]:
        """The first 16 hexadecimal digits of the SHA-256 of each row's bytes."""
        return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in self.rows[ids]]

    @functools.cached_property
    def tensors(self) -> tuple[tf.Tensor, ...]:
        """Copies of labels [n], index [n] and, if in memory, rows [n, ...], made once."""
        arrays = [self.labels, self.index]
        if isinstance(self.rows, np.ndarray):
            arrays.append(self.rows)
        with tf.device("/cpu:0"):
            return tuple(map(tf.constant, arrays))

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of all rows, then all labels (little-endian int64), in order."""
        digest = hashlib.sha256()
        for _, some in portions(self.rows):
            digest.update(some.tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def select(self, ids: Ids, name: str | None = None) -> "Split":
        """The split of some of the examples. ids: their positions."""
        rows, labels, index = select(self.rows, ids), self.labels[ids], self.index[ids]
        return replace(self, name=name or self.name, rows=rows, labels=labels, index=index)

    def take(self, n: int) -> "Split":
        """The first n examples, or all if there are fewer."""
        return self.select(slice(n))
