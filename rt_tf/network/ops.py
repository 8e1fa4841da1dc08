"""The narrow waist: the kinds of operation that every bound method interprets.

An operation acts on tensors `[batch, ...]`. Bound methods may fold further axes into the batch.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = tf.Tensor


class Lines(NamedTuple):
    """Linear bounds of an activation: `lower_slope*z + lower_offset <= fn(z) <= upper_...`.

    lower_offset: None where all lower lines pass through the origin.
    """

    lower_slope: Tensor
    lower_offset: Tensor | None
    upper_slope: Tensor
    upper_offset: Tensor

    def band(self) -> tuple[Tensor, Tensor]:
        """The offset of the line midway between parallel lines, and half their gap, elementwise."""
        lower = 0.0 if self.lower_offset is None else self.lower_offset
        return 0.5 * (self.upper_offset + lower), 0.5 * (self.upper_offset - lower)

    @property
    def slopes(self) -> list[tuple[Tensor, Tensor]]:
        """The lower and the upper slope in each input: one pair."""
        return [(self.lower_slope, self.upper_slope)]

    @staticmethod
    def of(slopes: list[tuple[Tensor, Tensor]], lower: Tensor, upper: Tensor) -> "Lines":
        """Lines from `slopes` and offsets."""
        ((below, above),) = slopes
        return Lines(below, lower, above, upper)


class Planes(NamedTuple):
    """Linear bounds of a product: `s x + t y + lower_offset <= x y <= s' x + t' y + upper_offset`.

    lower_slopes, upper_slopes: (s, t) and (s', t'), the slopes in either factor.
    """

    lower_slopes: tuple[Tensor, Tensor]
    lower_offset: Tensor
    upper_slopes: tuple[Tensor, Tensor]
    upper_offset: Tensor

    def band(self) -> tuple[Tensor, Tensor]:
        """The offset of the plane midway between parallel ones, and half their gap, elementwise."""
        lower, upper = self.lower_offset, self.upper_offset
        return 0.5 * (upper + lower), 0.5 * (upper - lower)

    @property
    def slopes(self) -> list[tuple[Tensor, Tensor]]:
        """The lower and the upper slope in each factor: two pairs."""
        return list(zip(self.lower_slopes, self.upper_slopes, strict=True))

    @staticmethod
    def of(slopes: list[tuple[Tensor, Tensor]], lower: Tensor, upper: Tensor) -> "Planes":
        """Planes from `slopes` and offsets."""
        (x_below, x_above), (y_below, y_above) = slopes
        return Planes((x_below, y_below), lower, (x_above, y_above), upper)


class Window(NamedTuple):
    """The action of an operation on windows of images: an output pixel reads one window.

    fn: the operation on windows, that is without padding. All pairs are (rows, columns);
    `before`: the zeros that the operation puts before each axis.
    """

    fn: Callable[..., Tensor]
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Affine:
    """The operation `fn(x, kernel) + bias` with `fn` bilinear.

    `terms` is the number of products summed for one output, the bias not counted, and
    `transposed_terms` that number for the transposed map. `magnitude` bounds every intermediate
    size of the bias: more than its absolute value where the bias is itself a cancelling
    difference (batch normalisation). `window`: None unless the map is the same at every place
    of an image.
    """

    fn: Callable[[Tensor, Tensor], Tensor]
    kernel: Tensor
    bias: Tensor
    terms: int
    transposed_terms: int
    magnitude: Tensor
    window: Window | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self.fn(x, self.kernel) + self.bias

    def linear(self, x: Tensor) -> Tensor:
        """The product W x, without the bias: [batch, ...] -> [batch, ...]."""
        return self.fn(x, self.kernel)

    def absolute(self, x: Tensor) -> Tensor:
        """The product |W| x: [batch, ...] -> [batch, ...]."""
        return self.fn(x, tf.abs(self.kernel))


@dataclasses.dataclass(frozen=True)
class Positive:
    """A linear function of one or more inputs with coefficients >= 0.

    `terms` is the largest number of values summed for one output, of the map or of its transpose;
    1 for pure data movement, which is exact. `window`: as for `Affine`. `magnitude`: gives the
    sizes of all that is summed from those of the inputs, where that is more than their own sum
    (interpolation by differences). `copies`: whether every output is a value of the one input, or
    zero, so that its interval is as good as the input's.
    """

    fn: Callable[..., Tensor]
    terms: int = 1
    window: Window | None = None
    magnitude: Callable[..., Tensor] | None = None
    copies: bool = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        return self.fn(*inputs)

    linear = __call__

    def sizes(self, *inputs: Tensor) -> Tensor:
        """A bound of the sizes of all that is summed, from those of the inputs: [batch, ...]."""
        return self.fn(*inputs) if self.magnitude is None else self.magnitude(*inputs)


class Shared(NamedTuple):
    """One slope for both lines of an activation, from its least useful (0) to its largest (1)."""

    slope: Tensor


# A rule by name, or slopes of the lower line, from its least useful (0) to its largest (1).
Slope: TypeAlias = str | Tensor | Shared


@dataclasses.dataclass(frozen=True)
class Activation:
    """An elementwise function, and linear bounds of it on an interval.

    `relax(lower, upper, slope)` returns `Lines`, whose offsets hold up to a few roundings of
    their terms; slopes that are tensors and lower broadcast against each other, and so do the
    lines. fn in float32 errs by at most `ulps * 2^-24 |fn(z)| + absolute`, and values below the
    normal range may be flushed to zero. rectifies: fn is linear on either side of 0, and bends
    nowhere else. extremes: the least and the largest value of fn between two ends, infinite where
    fn is not bounded there; None where fn is nondecreasing. domain: in words, the inputs on which
    fn is bounded; None for all numbers.
    """

    fn: Callable[[Tensor], Tensor]
    relax: Callable[[Tensor, Tensor, Slope], Lines]
    ulps: float = 0.0
    absolute: float = 0.0
    rectifies: bool = False
    extremes: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    domain: str | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self.fn(x)

    def image(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest value between the ends, each [batch, ...]."""
        if self.extremes is None:
            return self(lower), self(upper)
        return self.extremes(lower, upper)


@dataclasses.dataclass(frozen=True)
class Product:
    """The elementwise product of two values of one shape, and linear bounds of it on two boxes.

    `relax(ends of x, ends of y, slope)` returns `Planes`, whose offsets hold up to a few roundings
    of their terms. Products of matrices are moved values, such products, and a positive sum.
    """

    relax: Callable[[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Slope], Planes]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return x * y


class Limits(NamedTuple):
    """Two numbers that no value is outside of, whatever its interval.

    by_size: what the rounding of the served network may add on either side, for each unit of the
    largest size of value `source`: among a layer's inputs and steps, or a graph's nodes.
    """

    lower: float
    upper: float
    by_size: float = 0.0
    source: int = 0


Op = Affine | Positive | Activation | Product
Bent: TypeAlias = Activation | Product  # what linear bounds replace by lines or planes


def inner(coefficients: Tensor, values: Tensor) -> Tensor:
    """Inner products per specification: [batch, spec, ...], [batch, ...] -> [batch, spec].

    Either batch may be 1. The fastest form on a CPU is a matrix product, except for a single
    row.
    """
    if coefficients.shape[1] == 1:
        axes = list(range(2, coefficients.shape.rank))
        return tf.reduce_sum(coefficients * values[:, tf.newaxis], axis=axes)
    terms = math.prod(coefficients.shape[2:])
    rows = tf.reshape(coefficients, tf.concat([tf.shape(coefficients)[:2], [terms]], axis=0))
    products = tf.matmul(rows, tf.reshape(values, [-1, 1, terms]), transpose_b=True)
    return tf.squeeze(products, axis=2)


def box_minimum(coefficients: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """The least <v, z> for z in a box, `c . v - r . |v|` with its centre and radius: [batch, spec].

    coefficients: v, [batch, spec, ...]. lower, upper: [batch, ...], in the coefficients'
    precision.
    """
    centre, radius = 0.5 * (lower + upper), 0.5 * (upper - lower)
    return inner(coefficients, centre) - inner(tf.abs(coefficients), radius)
