"""Affine maps with their transposes, in float64: what is known of each."""

import abc
import dataclasses

import numpy as np

from rt_tf.checker.windows import flat

Shape = tuple[int, ...]


class Map(abc.ABC):
    """An affine map of one or more inputs.

    shape: of its value. terms: the number of products (or values) that an output sums, the bias not
    counted; 0 where values are moved alone. transposed_terms: that of the transpose. bias,
    magnitude: against one value; the latter bounds all that was summed to the bias. largest: the
    largest size of a weight.
    """

    shape: Shape
    terms: int
    transposed_terms: int
    bias: np.ndarray | float
    magnitude: np.ndarray | float

    @property
    @abc.abstractmethod
    def largest(self) -> float: ...

    @abc.abstractmethod
    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x, without the bias, of inputs [batch, ...]: [batch, *shape]."""

    @abc.abstractmethod
    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y, for every input: [batch, *shape] -> [batch, ...]."""

    def summed(self, sizes: list[np.ndarray]) -> np.ndarray:
        """A bound of the sizes of all that is summed, from the inputs': [batch, *shape]."""
        return self.apply(sizes, absolute=True) + self.magnitude

    @property
    def room(self) -> int:
        """The number of values that a pass holds of the map for a row."""
        return flat(self.shape)


@dataclasses.dataclass(frozen=True)
class Plain(Map):
    """A map without bias whose weights are 0 and, at most, 1."""

    shape: Shape
    terms: int = 0
    transposed_terms: int = 0
    bias: float = 0.0
    magnitude: float = 0.0

    @property
    def largest(self) -> float:
        return 1.0


@dataclasses.dataclass(frozen=True)
class Weighted(Map):
    """A map with a kernel and a bias."""

    shape: Shape
    terms: int
    transposed_terms: int
    kernel: np.ndarray
    bias: np.ndarray
    magnitude: np.ndarray

    @property
    def largest(self) -> float:
        return float(np.abs(self.kernel).max(initial=0.0))

    def kernel_or_sizes(self, absolute: bool) -> np.ndarray:
        """The kernel, or the sizes of its weights, of any shape."""
        return np.abs(self.kernel) if absolute else self.kernel
