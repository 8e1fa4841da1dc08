"""Products of a matrix with the values along one axis."""

import dataclasses

import tensorflow as tf

from rt_tf.network.ops import Tensor


@dataclasses.dataclass(frozen=True)
class Along:
    """The product of a matrix [inputs, outputs] with values along an axis, batch being axis 0."""

    axis: int

    def __call__(self, x: Tensor, matrix: Tensor) -> Tensor:
        """The product, [batch, ...], with as many values along the axis as the matrix has columns.

        x: [batch, ...].
        """
        letters = "abcdefgh"[: x.shape.rank]
        name = letters[self.axis]
        result = letters.replace(name, "z")
        return tf.einsum(f"{letters},{name}z->{result}", x, matrix)
