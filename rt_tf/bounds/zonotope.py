"""Zonotopes `c + sum_k e_k g_k`, pushed forward (DeepZ; the relaxation of Wong & Kolter's dual).

Exact on affine operations; an unstable activation adds symbols of its own. In sound arithmetic
`slack` bounds the rounding so far: the radius of a box around the zonotope. Source: Singh et al.
2018 (DeepZ); Wong & Kolter 2018.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.interval import enclose as enclose_by_intervals
from rt_tf.bounds.interval import image as interval_image
from rt_tf.bounds.relaxation import enclosing
from rt_tf.bounds.result import Box, cut
from rt_tf.bounds.symbols import Pixels, Symbols, unit_symbols
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine, Bent, Op, Positive, Tensor
from rt_tf.threats.region import Region

Blocks: TypeAlias = dict[Symbols, Tensor]
# Radii [batch, ...] of new symbols -> the symbols and their generators.
Fresh: TypeAlias = Callable[[Tensor], tuple[Symbols, Tensor]]


class Zonotope(NamedTuple):
    """The set of `centre + sum_k e_k g_k` for all values of the symbols e.

    centre: [batch, ...]. blocks: generators g [batch, symbols, ...] by their symbols. slack:
    [batch, ...].
    """

    centre: Tensor
    blocks: Blocks
    slack: Tensor | None = None

    @property
    def box(self) -> Box:
        """The least box around the zonotope, [batch, ...]; if sound, widened by all rounding."""
        lower = upper = self.centre
        for symbols, generators in self.blocks.items():
            ends = symbols.ends(generators)
            lower, upper = lower + ends.lower, upper + ends.upper
        if self.slack is None:
            return Box(lower, upper)
        terms = sum(symbols.most for symbols in self.blocks) + len(self.blocks)
        slack = self.slack + 2.0 * rounding.gamma(terms + 4) * self.size + 2.0 * rounding.TINY
        return Box(lower - slack, upper + slack)

    @property
    def size(self) -> Tensor:
        """A bound of the sizes of all that is summed: [batch, ...]."""
        parts = [symbols.reach(generators) for symbols, generators in self.blocks.items()]
        slack = [] if self.slack is None else [self.slack]
        return (1.0 + 1e-3) * tf.add_n([tf.abs(self.centre), *parts, *slack])

    def margins(self, spec: Tensor) -> Tensor:
        """Lower bounds of `spec . value`, the value being logits: [batch, spec].

        spec: [batch, spec, classes].
        """
        image = Zonotope(
            tf.linalg.matvec(spec, self.centre),
            {s: tf.einsum("bsn,bkn->bks", spec, g) for s, g in self.blocks.items()},
        )
        if self.slack is None:
            return image.box.lower
        weights = tf.abs(spec)
        error = self.slack + 4.0 * rounding.gamma(spec.shape[-1] + 4) * self.size
        slack = tf.linalg.matvec(weights, error) * (1.0 + 1e-3) + rounding.TINY
        return image._replace(slack=slack).box.lower


def zonotope_of(box: Box) -> Zonotope:
    """A box as a zonotope with symbols of its own."""
    symbols, generators = unit_symbols(box.radius)
    return Zonotope(box.centre, {symbols: generators})


def zonotope_of_region(region: Region, sound: bool = False) -> Zonotope:
    """A region as a zonotope whose symbols are the pixels."""
    x = region.x
    pixels = math.prod(x.shape[1:])
    identity = tf.reshape(tf.eye(pixels, batch_shape=[1]), [1, pixels, *x.shape[1:]])
    identity = tf.repeat(identity, tf.shape(x)[0], axis=0)
    symbols = Pixels(region, tf.float64 if sound else tf.float32)
    return Zonotope(tf.zeros_like(x), {symbols: identity}, tf.zeros_like(x) if sound else None)


def image(
    op: Op,
    inputs: list[Zonotope],
    boxes: Sequence[Box] | None = None,
    fresh: Fresh = unit_symbols,
    own: Box | None = None,
) -> Zonotope:
    """The image of one operation, from the zonotopes of its inputs.

    boxes: of the inputs of an activation or a product, if better than the zonotopes'. fresh: makes
    the symbols of these operations. own: see `relaxation.enclosing`.
    """
    if isinstance(op, Affine):
        return _affine(op, inputs[0])
    if isinstance(op, Positive):
        return _positive(op, inputs)
    boxes = [z.box for z in inputs] if boxes is None else boxes
    return _bent(op, inputs, boxes, fresh, own)


def enclose(
    graph: Graph,
    start: Zonotope,
    box: Box,
    arithmetic: str = "fast",
    fresh: Fresh = unit_symbols,
    cuts: Callable[[int], bool] | None = None,
) -> tuple[Zonotope, Enclosure]:
    """The zonotope of the output, and boxes of all nodes.

    start, box: the zonotope and the box of the input. Boxes before activations are cut by
    zonotopes, at the nodes that `cuts` picks by number (default: all); all other boxes are
    intervals.
    """
    values = {0: start}
    chosen = {i for i in graph.preactivations() if cuts is None or cuts(i)}

    def tighten(i: int, enclosure: Enclosure) -> Box:
        node = graph.nodes[i - 1]
        boxes = [enclosure.boxes[k] for k in node.inputs]
        own = enclosure.boxes[i] if node.limits else None
        values[i] = image(node.op, [values[k] for k in node.inputs], boxes, fresh, own)
        return cut(enclosure.boxes[i], values[i].box) if i in chosen else enclosure.boxes[i]

    enclosure = enclose_by_intervals(graph, box, arithmetic, tighten)
    return values[graph.output], enclosure


def _affine(op: Affine, z: Zonotope) -> Zonotope:
    blocks = {symbols: _each(op.linear, [g]) for symbols, g in z.blocks.items()}
    if z.slack is None:
        return Zonotope(op(z.centre), blocks)
    size = z.size
    error = rounding.forward_error(op, size, op.absolute(size) + op.magnitude)
    return Zonotope(op(z.centre), blocks, op.absolute(z.slack) * (1.0 + 1e-3) + error)


def _positive(op: Positive, inputs: list[Zonotope]) -> Zonotope:
    centre = op(*(z.centre for z in inputs))
    blocks = {
        symbols: _each(op.linear, [_block(z, symbols, like) for z in inputs])
        for symbols, like in _all_blocks(inputs).items()
    }
    slack = [z.slack for z in inputs if z.slack is not None]
    if not slack:
        return Zonotope(centre, blocks)
    error = 4.0 * rounding.gamma(op.terms + 4) * op.sizes(*(z.size for z in inputs))
    return Zonotope(centre, blocks, op(*slack) + error + op.terms * rounding.TINY)


def _bent(
    op: Bent, inputs: list[Zonotope], boxes: Sequence[Box], fresh: Fresh, own: Box | None
) -> Zonotope:
    """The image `s z + mu + mu' e` between two parallel lines or planes, with new symbols e."""
    lines = enclosing(op, boxes, "parallel", own)
    middle, half_gap = lines.band()
    slopes = [upper for _, upper in lines.slopes]
    centre = middle + tf.add_n([s * z.centre for s, z in zip(slopes, inputs, strict=True)])
    blocks: Blocks = {}
    for slope, z in zip(slopes, inputs, strict=True):
        for symbols, g in z.blocks.items():
            part = slope[:, tf.newaxis] * g
            blocks[symbols] = blocks[symbols] + part if symbols in blocks else part
    symbols, generators = fresh(half_gap)
    image = Zonotope(centre, blocks | {symbols: generators})
    slacks = [z.slack for z in inputs if z.slack is not None]
    if not slacks:
        return image
    sizes = [tf.maximum(z.size, box.magnitude) for z, box in zip(inputs, boxes, strict=True)]
    box = interval_image(op, list(boxes), sound=True).box if own is None else own
    error = rounding.relaxation_error(op, lines, sizes, box.magnitude)
    carried = tf.add_n([tf.abs(s) * slack for s, slack in zip(slopes, slacks, strict=True)])
    return image._replace(slack=carried + error)


def _all_blocks(inputs: list[Zonotope]) -> Blocks:
    return {symbols: g for z in inputs for symbols, g in z.blocks.items()}


def _block(z: Zonotope, symbols: Symbols, like: Tensor) -> Tensor:
    """The generators of some symbols, zero where a value does not depend on them."""
    if symbols in z.blocks:
        return z.blocks[symbols]
    shape = tf.concat([tf.shape(like)[:2], z.centre.shape[1:]], axis=0)
    return tf.ensure_shape(tf.zeros(shape), [*like.shape[:2], *z.centre.shape[1:]])


def _each(linear, generators: list[Tensor]) -> Tensor:  # type: ignore[no-untyped-def]
    """A linear map, applied to every generator."""
    leading = tf.shape(generators[0])[:2]
    value = linear(*(tf.reshape(g, [-1, *g.shape[2:]]) for g in generators))
    unfolded = tf.reshape(value, tf.concat([leading, value.shape[1:]], axis=0))
    return tf.ensure_shape(unfolded, [*generators[0].shape[:2], *value.shape[1:]])
