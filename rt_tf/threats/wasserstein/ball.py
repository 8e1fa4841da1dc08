"""The Wasserstein threat: the pixels' mass moves, at a cost of at most eps, within its channel."""

import dataclasses
import math
from typing import ClassVar, NoReturn

import tensorflow as tf

from rt_tf import numbers
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example
from rt_tf.threats.region import ROUNDING, Region
from rt_tf.threats.wasserstein.coupling import distance_at_most
from rt_tf.threats.wasserstein.feasible import Mass
from rt_tf.threats.wasserstein.sinkhorn import Sinkhorn
from rt_tf.threats.wasserstein.transport import LocalPlans

AIM = 0.98  # share of the radius for points; the rest is for `inside`, whose plan is another
DOUBLE_ROUNDING = 2.0**-50  # of a sum of n values in float64, relative to their sum and to n


@dataclasses.dataclass(frozen=True)
class Wasserstein:
    """The Wasserstein threat by the contract of `rt_tf.threats.region.Threat`.

    A pixel's mass is its value above the pixel range's lower end, as a share of the image's
    sum; moving it to another pixel of its channel costs |offset|_2^p. The ball: images in the
    pixel range, with each channel's sum kept but for float32's rounding, which a plan of cost
    <= eps leads to. The radius is thus in pixels (p = 1): the share of mass times the length of
    its move. Source: Wong 2020 (thesis), section 5.1.

    size: local plans, which give points, move mass within size x size pixels. weight: lambda
    (Wong: 1000 for MNIST, 3000 for CIFAR-10); the smaller, the more a projection is blurred.
    tolerance, iterations: as in `Sinkhorn`. Points are in the ball for any of these. UserError
    for a size, p or weight out of range.
    """

    size: int = 5
    p: float = 1.0
    weight: float = 1000.0
    tolerance: float = 1e-3
    iterations: int = 50

    name: ClassVar[str] = "wasserstein"
    largest: ClassVar[float] = 100.0  # all the mass moves across an image of 70 x 70 pixels
    is_box: ClassVar[bool] = False
    has_support: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises UserError for options that stand for no threat."""
        if numbers.whole("threat wasserstein: size", self.size, 3) % 2 == 0:
            raise UserError(f"threat wasserstein: size: expected an odd one; received {self.size}")
        power = "a power >= 1"
        numbers.between("threat wasserstein: p", self.p, 1.0, numbers.LARGEST, power)
        numbers.above_0("threat wasserstein: weight", self.weight)
        numbers.above_0("threat wasserstein: tolerance", self.tolerance)
        numbers.whole("threat wasserstein: iterations", self.iterations, 1)

    def spread(self, pixels: int) -> float:
        """Zero: a region needs no change for rounding, as `project` itself leaves room for that."""
        return 0.0

    def by_feature(self, region: Region) -> Region:
        return region

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        """The domain: a little of the mass may be enough to fill or empty any one pixel."""
        ends = (region.lower, region.upper)
        return tuple(tf.zeros_like(region.x) + tf.cast(end, region.x.dtype) for end in ends)

    def dual_norm(self, coefficients: Tensor) -> NoReturn:
        """Raises UserError: there is no support function."""
        raise _no_bound()

    def minimum(self, region: Region, coefficients: Tensor) -> NoReturn:
        """Raises UserError: there is no support function.

        `Sinkhorn.conjugate` gives good points but bounds nothing.
        """
        raise _no_bound()

    def project(self, region: Region, x: Tensor) -> Tensor:
        """A point by projected Sinkhorn, which blurs a little; points of the region stay."""
        mass, scale = self._mass(region)
        nearest = self._sinkhorn().project(mass, (tf.cast(x, tf.float64) - region.lower) / scale)
        within = by_example(self.inside(region, x), 4)
        return tf.where(
            within, tf.cast(x, region.x.dtype), _pixels(region, scale, nearest - mass.x)
        )

    def start(self, region: Region, noise: Tensor) -> Tensor:
        """A point a random share of the way to the best one in a random direction.

        The share is the fraction of the noise's sum, which is uniform as well.
        """
        mass, scale = self._mass(region)
        noise = tf.cast(noise, tf.float64)
        best = self._sinkhorn().conjugate(mass, (1.0 - 2.0 * noise) * mass.ceiling)
        share = tf.math.floormod(tf.reduce_sum(noise, axis=[1, 2, 3], keepdims=True), 1.0)
        return _pixels(region, scale, share * (best - mass.x))

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        """A step of each pixel along its gradient's sign; by its whole range, if the size is eps.

        The direction is Wong's. The smaller a step, the more the next projection looks for
        a blurred image rather than for a good one, whatever the radius. chance: without
        effect.
        """
        share = tf.math.divide_no_nan(size, region.radius())
        return share * (region.upper - region.lower) * tf.sign(gradient)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        """Whether a plan of cost <= eps is known: only in the ball, and nearly always there."""
        eps = _radius(region)
        height, width, channels = _shape(region)
        parts = height * width * channels * DOUBLE_ROUNDING
        safe = eps * (1.0 - parts) - parts * self._plans().cost(height - 1, width - 1)
        distance = self.distance(region, x, safe)
        return (distance <= safe) | ((distance == 0.0) & (eps >= 0.0))

    def distance(self, region: Region, x: Tensor, enough: Tensor | float = -math.inf) -> Tensor:
        """An upper bound on the cost of moving region.x's mass to x: [batch], in float64.

        Zero where they are equal; infinite outside the pixel range or where a channel's sum
        is another, but for rounding, by which channels are scaled first. enough: a number
        or [batch]; the search for better bounds ends when all are at most this.
        """
        mass, scale = self._mass(region)
        x = tf.cast(x, tf.float64)
        z = (x - region.lower) / scale
        sums, new = (tf.reduce_sum(t, axis=[1, 2], keepdims=True) for t in (mass.x, z))
        same_sums = tf.abs(new - sums) <= ROUNDING * (sums + _offset(region) / scale)
        possible = same_sums & (mass.x >= 0.0) & (x >= region.lower) & (x <= region.upper)
        possible = tf.reduce_all(possible, axis=[1, 2, 3])
        same = tf.reduce_all(x == tf.cast(region.x, tf.float64), axis=[1, 2, 3])
        z = tf.where(by_example(possible, 4), z * tf.math.divide_no_nan(sums, new), mass.x)
        zero = tf.zeros_like(sums[:, 0, 0, 0])
        bound = tf.cond(
            tf.reduce_any(possible & ~same),
            lambda: distance_at_most(mass.x, z, self._plans(), enough),
            lambda: zero,
        )
        return tf.where(possible, tf.where(same, zero, bound), math.inf)

    def _plans(self) -> LocalPlans:
        return LocalPlans(self.size, self.p)

    def _sinkhorn(self) -> Sinkhorn:
        return Sinkhorn(self._plans(), self.weight, self.tolerance, self.iterations)

    def _mass(self, region: Region) -> tuple[Mass, Tensor]:
        """The mass, and its unit in pixel values: [batch, 1, 1, 1]; one if all pixels are black.

        The cost is less than the radius by the most that float32's rounding of pixels may
        add: all that is rounded away may have to cross the image.
        """
        height, width, channels = _shape(region)
        x = tf.cast(region.x, tf.float64) - region.lower
        total = tf.reduce_sum(x, axis=[1, 2, 3], keepdims=True)
        scale = tf.where(total > 0.0, total, tf.ones_like(total))
        rounded = ROUNDING * (1.0 + channels * _offset(region) / scale)
        rounded *= self._plans().cost(height - 1, width - 1)
        eps = tf.nn.relu(AIM * by_example(_radius(region), 4) - rounded)
        return Mass(x / scale, eps, (region.upper - region.lower) / scale), scale


def _no_bound() -> UserError:
    return UserError(
        "threat: expected one with a support function (linf, l2, l1) for a bound; "
        "received wasserstein"
    )


def _shape(region: Region) -> tuple[int, int, int]:
    """The shape of an example; UserError unless it is an image of one pixel range."""
    if not region.domain.is_uniform:
        raise UserError(
            "threat wasserstein: expected a domain of two finite numbers, since mass moves between "
            f"pixels; received {region.domain}"
        )
    if region.x.shape.rank != 4:
        raise UserError(
            "threat wasserstein: expected examples [height, width, channels]; "
            f"received the shape {tuple(region.x.shape[1:])}"
        )
    return tuple(region.x.shape[1:])


def _offset(region: Region) -> float:
    """The most that the pixel range's lower end adds to the sum of a channel's absolute values."""
    height, width, _ = _shape(region)
    return float(height * width * abs(float(region.lower)))


def _radius(region: Region) -> Tensor:
    """eps in float64, a plain number as it is."""
    if tf.is_tensor(region.eps):
        return tf.cast(region.eps, tf.float64)
    return tf.constant(region.eps, tf.float64)


def _pixels(region: Region, scale: Tensor, moved: Tensor) -> Tensor:
    """The pixels of region.x with this much mass moved to each."""
    x = tf.cast(tf.cast(region.x, tf.float64) + scale * moved, region.x.dtype)
    return tf.clip_by_value(x, region.lower, region.upper)
