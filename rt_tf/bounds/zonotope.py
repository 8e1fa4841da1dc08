"""Zonotopes `a + sum_k e_k A_k`, e in [-1, 1], pushed forward (DeepZ; Wong & Kolter's relaxation).

Exact on affine operations; an unstable activation adds an error symbol of its own. Float arithmetic
without rounding terms: for analysis and tests, not for certificates.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds.result import Box
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Affine, Op, Positive, Tensor


class Zonotope(NamedTuple):
    """centre: [batch, ...]; generators: [batch, symbols, ...], zero where a symbol is unused."""

    centre: Tensor
    generators: Tensor

    @property
    def box(self) -> Box:
        radius = tf.reduce_sum(tf.abs(self.generators), axis=1)
        return Box(self.centre - radius, self.centre + radius)

    def linear(self, spec: Tensor) -> Tensor:
        """Lower bounds of `spec . value`: [batch, spec]. The value is a vector, as logits are."""
        centre = tf.linalg.matvec(spec, self.centre)
        generators = tf.einsum("bsn,bkn->bsk", spec, self.generators)
        return centre - tf.reduce_sum(tf.abs(generators), axis=-1)


def zonotope_of(box: Box) -> Zonotope:
    """A box as a zonotope with a symbol for every coordinate."""
    return Zonotope(box.centre, _diagonal(box.radius))


def image(op: Op, inputs: list[Zonotope]) -> Zonotope:
    """The image of one operation; inputs share their symbols, the shorter ones lack later ones."""
    inputs = _aligned(inputs)
    if isinstance(op, Affine):
        return Zonotope(op(inputs[0].centre), _each(op.linear, [inputs[0].generators]))
    if isinstance(op, Positive):
        centre = op(*(z.centre for z in inputs))
        return Zonotope(centre, _each(op.linear, [z.generators for z in inputs]))
    return _activation(op, inputs[0])


def enclose(graph: Graph, start: Box) -> list[Zonotope]:
    """The zonotope of every node (0 is the input)."""
    values = [zonotope_of(start)]
    for _, node in graph.numbered():
        values.append(image(node.op, [values[i] for i in node.inputs]))
    return values


def _activation(op: Activation, z: Zonotope) -> Zonotope:
    """`s z + mu + mu e` between the two parallel lines."""
    lines = op.relax(*z.box, "parallel")
    lower_offset = 0.0 if lines.lower_offset is None else lines.lower_offset
    middle = 0.5 * (lines.upper_offset + lower_offset)
    half_gap = 0.5 * (lines.upper_offset - lower_offset)
    scaled = lines.upper_slope[:, tf.newaxis] * z.generators
    generators = tf.concat([scaled, _diagonal(half_gap)], axis=1)
    return Zonotope(lines.upper_slope * z.centre + middle, generators)


def _diagonal(values: Tensor) -> Tensor:
    """[batch, ...] -> [batch, units, ...]: one generator for every unit."""
    shape = values.shape[1:]
    units = math.prod(shape)
    return tf.reshape(tf.linalg.diag(tf.reshape(values, [-1, units])), [-1, units, *shape])


def _each(linear, generators: list[Tensor]) -> Tensor:  # type: ignore[no-untyped-def]
    """Applies a linear map to every generator."""
    symbols = generators[0].shape[1]
    value = linear(*(tf.reshape(g, [-1, *g.shape[2:]]) for g in generators))
    return tf.reshape(value, [-1, symbols, *value.shape[1:]])


def _aligned(inputs: list[Zonotope]) -> list[Zonotope]:
    symbols = max(z.generators.shape[1] for z in inputs)
    return [Zonotope(z.centre, _padded(z.generators, symbols)) for z in inputs]


def _padded(generators: Tensor, symbols: int) -> Tensor:
    missing = symbols - generators.shape[1]
    return tf.pad(generators, [[0, 0], [0, missing]] + [[0, 0]] * (generators.shape.rank - 2))
