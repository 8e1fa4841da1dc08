"""Functions of straight pieces, and one with a parabola between them.

Errors measured: sparse plus 3.8, hard sigmoid 2.0. Otherwise one product is rounded.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.network.curves.curve import (
    NEVER,
    ConcaveStart,
    Curve,
    Points,
    itself,
    never,
    never_before,
)
from rt_tf.network.ops import Tensor

ONE_PRODUCT = 2.0  # ulps of a product, which rounds once


def bent(
    fn: Callable[[Tensor], Tensor],
    first: float,
    last: float,
    negative_slope: float = 0.0,
    slope: float = 1.0,
    ulps: float = ONE_PRODUCT,
) -> Curve:
    """A curve of three pieces, of slopes negative_slope, slope > 0, and 0.

    first, last: the kinks. ulps: see `ops.Activation`; not of what no product computes.
    """

    def derivative(z: Tensor) -> Tensor:
        return tf.where(z < first, negative_slope, slope * tf.cast(z < last, z.dtype))

    def above(lower: Tensor) -> Points:
        """The last kink; where f falls at first, only for lines from below its height."""
        if negative_slope >= 0.0:
            return last
        kink = tf.cast(last, lower.dtype)
        return tf.where(fn(lower) <= fn(kink), kink, NEVER)

    concave = negative_slope > slope
    return Curve(
        fn=fn,
        derivative=derivative,
        critical=lambda slope: [first, last],
        below=never_before if concave else lambda upper: first,
        above=itself if concave else above,
        turns=(first,) if negative_slope < 0.0 else None,
        ulps=0.0 if negative_slope == 0.0 and slope == 1.0 else ulps,
    )


def kinked(negative_slope: float | Tensor, positive_slope: float = 1.0) -> Curve:
    """A curve of two pieces that meet in 0.

    negative_slope: a number, or slopes by unit that broadcast against [batch, ...].
    """
    is_convex = tf.constant(negative_slope) <= positive_slope

    def fn(z: Tensor) -> Tensor:
        low = tf.cast(negative_slope, z.dtype) * tf.nn.relu(-z)
        high = tf.nn.relu(z)
        return (high if positive_slope == 1.0 else positive_slope * high) - low

    def derivative(z: Tensor) -> Tensor:
        return tf.where(z < 0.0, tf.cast(negative_slope, z.dtype), positive_slope)

    return Curve(
        fn=fn,
        derivative=derivative,
        critical=lambda slope: [0.0],
        below=lambda upper: tf.where(is_convex, upper, -NEVER),
        above=lambda lower: tf.where(is_convex, tf.cast(NEVER, lower.dtype), lower),
        turns=(0.0,),
        ulps=ONE_PRODUCT,
    )


ABSOLUTE = Curve(
    fn=tf.abs,
    derivative=tf.sign,
    critical=lambda slope: [0.0],
    below=itself,
    above=never,
    turns=(0.0,),
)

HARD_SIGMOID = bent(keras.activations.hard_sigmoid, -3.0, 3.0, slope=1.0 / 6.0, ulps=8.0)
SPARSE_SIGMOID = bent(keras.activations.sparse_sigmoid, -1.0, 1.0, slope=0.5)


def _sparse_plus_slope(z: Tensor) -> Tensor:
    return tf.clip_by_value(0.5 * z + 0.5, 0.0, 1.0)


SPARSE_PLUS = Curve(  # 0 up to -1, a parabola up to 1, then z
    fn=keras.activations.sparse_plus,
    derivative=_sparse_plus_slope,
    critical=lambda s: [2.0 * s - 1.0],
    below=itself,
    above=never,
    ulps=16.0,
)

SHRINKAGE = 0.5  # the threshold of soft shrinkage that Keras takes by default

SOFT_SHRINK = Curve(  # 0 from -1/2 to 1/2, with slope 1 on either side
    fn=keras.activations.soft_shrink,
    derivative=lambda z: tf.cast(tf.abs(z) > SHRINKAGE, z.dtype),
    critical=lambda slope: [-SHRINKAGE, SHRINKAGE],
    below=itself,
    above=never,
    start=ConcaveStart(
        below=lambda lower: tf.where(lower < -SHRINKAGE, SHRINKAGE, lower),
        above=lambda upper: tf.where(upper > SHRINKAGE, -SHRINKAGE, upper),
    ),
    ulps=ONE_PRODUCT,
)
