"""Symbols: the factors of a zonotope's generators, and the range of the products.

A block of generators is `[batch, symbols, ...]`. Symbols are told apart by identity: two values
that were made from one block share its symbols, and move together.
"""

import dataclasses
import math
from typing import Protocol

import tensorflow as tf

from rt_tf.bounds.result import Box
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


class Symbols(Protocol):
    """The contract of a block's symbols."""

    @property
    def most(self) -> int:
        """The largest number of symbols, which is the number of terms of sums over them."""

    def ends(self, generators: Tensor) -> Box:
        """The least and the largest of `sum_k e_k g_k`, elementwise: each [batch, ...].

        generators: g, [batch, symbols, ...].
        """

    def reach(self, generators: Tensor) -> Tensor:
        """A bound of `sum_k |e_k g_k|`: [batch, symbols, ...] -> [batch, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """Symbols that each range over [-1, 1], by the contract of `Symbols`."""

    most: int

    def ends(self, generators: Tensor) -> Box:
        radius = self.reach(generators)
        return Box(-radius, radius)

    def reach(self, generators: Tensor) -> Tensor:
        return tf.reduce_sum(tf.abs(generators), axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels:
    """The input's coordinates, which range over a region together, by the contract of `Symbols`.

    precision: of the sums over them; those of a ball need more than float32 to be sound.
    """

    region: Region
    precision: tf.DType = tf.float32

    @property
    def most(self) -> int:
        return math.prod(self.region.x.shape[1:])

    def ends(self, generators: Tensor) -> Box:
        shape, pixels = generators.shape[2:], self.region.x.shape[1:]
        rows = tf.reshape(generators, [-1, self.most, math.prod(shape)])
        rows = tf.transpose(tf.cast(rows, self.precision), [0, 2, 1])
        rows = tf.reshape(rows, [-1, rows.shape[1], *pixels])
        ends = self.region.minimum(rows), -self.region.minimum(-rows)
        return Box(*(tf.cast(tf.reshape(end, [-1, *shape]), tf.float32) for end in ends))

    def reach(self, generators: Tensor) -> Tensor:
        size = tf.reshape(Box(*self.region.box()).magnitude, [-1, self.most])
        size = tf.reshape(size, [-1, self.most] + [1] * (generators.shape.rank - 2))
        return tf.reduce_sum(tf.abs(generators) * size, axis=1)


def unit_symbols(radii: Tensor) -> tuple[Symbols, Tensor]:
    """New symbols for the units whose radius is not 0, and their generators [batch, symbols, ...].

    radii: [batch, ...]. Each example gets as many symbols as the one with most such units
    needs.
    """
    shape = radii.shape[1:]
    most = math.prod(shape)
    flat = tf.reshape(radii, [-1, most])
    needed = tf.cast(flat != 0.0, tf.int32)
    # At least one: convolutions of no images at all are not to be relied on.
    count = tf.maximum(tf.reduce_max(tf.reduce_sum(needed, axis=1)), 1)
    _, units = tf.math.top_k(needed, count)
    generators = tf.one_hot(units, most) * tf.gather(flat, units, batch_dims=1)[..., tf.newaxis]
    generators = tf.reshape(generators, tf.concat([tf.shape(units), shape], axis=0))
    return Units(most), tf.ensure_shape(generators, [None, None, *shape])
