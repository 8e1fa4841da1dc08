"""The Linf threat: every feature moves by at most eps, within the input's domain."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor, box_minimum
from rt_tf.threats import ball, norms
from rt_tf.threats.region import Region

LEAST, MOST = 1e-30, 1e30  # of a feature's scale


@dataclasses.dataclass(frozen=True)
class Linf:
    """The Linf threat by the contract of `rt_tf.threats.region.Threat`.

    scale: the most that each feature may move at eps 1, an array of the input's shape (without
    batch), for tables whose columns have units of their own; 0 for a fixed feature, None for 1
    everywhere. UserError for an array with negative numbers, or in which all features are
    fixed.
    """

    scale: Any = None

    name = "linf"
    largest = 1.0
    is_box = True
    has_support = True

    def __post_init__(self) -> None:
        """Keeps the scale as nested tuples, as files have it."""
        if self.scale is not None:
            object.__setattr__(self, "scale", _nested(_checked(self.scale).tolist()))

    @functools.cached_property
    def scales(self) -> np.ndarray:
        """The scale as an array in float64: [...], the input's shape without batch."""
        return np.array(self.scale)

    def spread(self, pixels: int) -> float:
        return 1.0

    def by_feature(self, region: Region) -> Region:
        if self.scale is None:
            return region
        self._refuse_other_shape(region.x.shape[1:])
        eps = norms.by_example(region.exact_eps(), region.x.shape.rank)
        eps *= self.scales[np.newaxis]  # in float64, where no small radius is lost
        return dataclasses.replace(region, threat=Linf(), eps=eps)

    def _refuse_other_shape(self, shape: tf.TensorShape) -> None:
        if self.scales.shape != tuple(shape):
            raise UserError(
                f"scale: expected a number for each feature of inputs of shape {list(shape)}; "
                f"received an array of shape {list(self.scales.shape)}"
            )

    def box(self, region: Region) -> tuple[Tensor, Tensor]:
        return ball.box(self.by_feature(region))

    def dual_norm(self, coefficients: Tensor) -> Tensor:
        if self.scale is not None:
            coefficients = coefficients * tf.cast(self.scales, coefficients.dtype)
        return norms.total(coefficients, leading=2)

    def minimum(self, region: Region, coefficients: Tensor) -> Tensor:
        return box_minimum(coefficients, *(tf.cast(t, coefficients.dtype) for t in region.box()))

    def project(self, region: Region, x: Tensor) -> Tensor:
        return tf.clip_by_value(x, *ball.ends(self.by_feature(region)))

    def start(self, region: Region, noise: Tensor) -> Tensor:
        move = self.by_feature(region).radius() * (2.0 * noise - 1.0)
        return self.project(region, region.x + move)

    def step(
        self, region: Region, x: Tensor, gradient: Tensor, size: Tensor, chance: Tensor
    ) -> Tensor:
        signs = tf.sign(gradient)
        return size * (signs if self.scale is None else signs * tf.cast(self.scales, signs.dtype))

    def distance(self, region: Region, x: Tensor) -> Tensor:
        if self.scale is None:
            return ball.distance(region, x, norms.largest)
        moves = tf.abs(tf.cast(x, tf.float64) - tf.cast(region.x, tf.float64))
        shares = tf.where(moves == 0.0, moves, moves / self.scales)
        return norms.largest(shares)

    def inside(self, region: Region, x: Tensor) -> Tensor:
        eps = ball.strict_radius(region)
        if eps.shape.rank == 1:
            eps = norms.by_example(eps, x.shape.rank)
        if self.scale is not None:
            eps *= self.scales
        moves = tf.abs(tf.cast(x, tf.float64) - tf.cast(region.x, tf.float64))
        near = tf.reduce_all(moves <= eps, axis=list(range(1, x.shape.rank)))
        return ball.possible(region, x) & near


def _checked(scale: Any) -> np.ndarray:
    values = np.array(scale, np.float64)
    fits = (values == 0.0) | ((values >= LEAST) & (values <= MOST))
    if not values.ndim or not fits.all() or values.max() == 0.0:
        least, greatest = (math.nan, math.nan) if not values.size else (values.min(), values.max())
        raise UserError(
            f"linf: expected for each feature 0 or a radius from {LEAST:g} to {MOST:g}, not all of "
            f"them 0; received radii from {least:g} to {greatest:g} in the shape {values.shape}"
        )
    return values


def _nested(values: Any) -> Any:
    return tuple(map(_nested, values)) if isinstance(values, list) else values
