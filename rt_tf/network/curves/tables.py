"""Tables of points that have no closed form: computed once, in float64, and read by interpolation.

Such points are where a derivative takes a value, and where a line touches a function. A line is
sound wherever it touches; where f' is a slope, an error d of the point costs at most
`max|f''| d^2 / 2`, which `absolute` of the curve covers.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor

STEPS = 1024

Numbers = np.ndarray
Function = Callable[[Numbers], Numbers]


@dataclasses.dataclass(frozen=True)
class Table:
    """A function by its values at even steps from 0 to `last`, straight between them.

    fn: gives the values [count] of arguments [count], in float64; called once, when needed.
    """

    fn: Function
    last: float

    @functools.cached_property
    def _values(self) -> Numbers:
        return self.fn(np.linspace(0.0, self.last, STEPS + 1))

    def __call__(self, arguments: Tensor) -> Tensor:
        """The values at arguments of any shape, without gradient; outside, and for NaN, an end's.

        Whole numbers are only gathered with: other operations on them have no kernel on GPUs.
        """
        place = tf.stop_gradient(arguments) * (STEPS / self.last)
        place = tf.where(place > 0.0, tf.minimum(place, float(STEPS)), 0.0)
        step = tf.minimum(tf.floor(place), STEPS - 1.0)
        index = tf.cast(step, tf.int32)
        start = tf.gather(tf.constant(self._values[:-1], place.dtype), index)
        rise = tf.gather(tf.constant(np.diff(self._values), place.dtype), index)
        return start + (place - step) * rise


def root(fn: Function, low: Numbers | float, high: Numbers | float) -> Numbers:
    """The points between low and high where a monotone fn is 0, elementwise, by bisection.

    low, high, and the arguments and values of fn: [count].
    """
    low, high = np.broadcast_arrays(np.float64(low), np.float64(high))
    rises = fn(high) > fn(low)
    for _ in range(80):
        middle = 0.5 * (low + high)
        beyond = (fn(middle) > 0.0) == rises
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return 0.5 * (low + high)
