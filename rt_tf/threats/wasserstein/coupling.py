"""An upper bound on the Wasserstein distance of two images, by a plan that is feasible."""

import numpy as np
import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.wasserstein.feasible import Potentials, deficient
from rt_tf.threats.wasserstein.sinkhorn import hastened
from rt_tf.threats.wasserstein.transport import LocalPlans, logarithm, scaled

LADDER = (4.0, 1.6, 6)  # psi: the first, their ratio and number; a plan's cost falls with it
ITERATIONS = 100  # at each psi


def distance_at_most(
    x: Tensor, z: Tensor, plans: LocalPlans, enough: Tensor | float = -np.inf
) -> Tensor:
    """An upper bound of the distance of x and z, where any pixel may send to any other: [batch].

    x, z: [batch, height, width, channels], float64, z >= 0, with equal sums in every channel.
    The least cost of plans by Sinkhorn's iterations at a rising psi, which end when it is at
    most `enough` for all. Scaled down until no row or column is too large, a plan leaves some
    of x and misses some of z: that moves first where both are one pixel, then everywhere in
    proportion. The bound holds but for float64's rounding.
    """
    first, ratio, rungs = LADDER
    zero = tf.zeros_like(x[:, :1, :1, :1])

    def climb(rung: Tensor, psi: Tensor, beta: Tensor, least: Tensor) -> tuple[Tensor, ...]:
        beta = _fitted(x, z, plans, beta, psi)
        least = tf.minimum(least, _cost(x, z, plans, beta, psi))
        return rung + 1, ratio * psi, ratio * beta, least

    state = (tf.constant(0), zero + first, logarithm(z), zero[:, 0, 0, 0] + np.inf)
    return tf.while_loop(
        lambda rung, *state: (rung < rungs) & tf.reduce_any(state[-1] > enough), climb, state
    )[-1]


def _fitted(x: Tensor, z: Tensor, plans: LocalPlans, beta: Tensor, psi: Tensor) -> Tensor:
    """The beta of a plan from x to z at this psi, from a first beta."""
    log_x, log_z = logarithm(x), logarithm(z)

    def scale(beta: Tensor, last: Tensor, steps: Tensor) -> tuple[Tensor, ...]:
        alpha = scaled(log_x, plans.sums(beta, psi)[0])
        best = scaled(log_z, plans.sums(alpha, psi)[0])
        ahead, steps = hastened(best, last, beta, steps)
        return ahead, best, steps

    state = (beta, beta, tf.zeros_like(psi))
    return tf.while_loop(lambda *_: True, scale, state, maximum_iterations=ITERATIONS)[1]


def _cost(x: Tensor, z: Tensor, plans: LocalPlans, beta: Tensor, psi: Tensor) -> Tensor:
    """The cost of the plan of a beta whose columns are those of z, made feasible: [batch]."""
    alpha = scaled(logarithm(x), plans.sums(beta, psi)[0])
    # The best beta for this alpha gives columns of z; rows are then scaled down.
    beta = scaled(logarithm(z), plans.sums(alpha, psi)[0])
    into, rest, cost = deficient(x, plans, Potentials(alpha, beta, psi))
    missing = tf.nn.relu(z - into)
    both = tf.minimum(rest, missing)
    return cost[:, 0, 0, 0] + tf.reduce_sum(_spread(rest - both, missing - both, plans.p), axis=1)


def _spread(a: Tensor, b: Tensor, p: float) -> Tensor:
    """An upper bound of the cost of sending a to b everywhere in proportion: [batch, channels].

    From the mean of the squared distances, which takes a few moments: it bounds that of their
    power p / 2 by Jensen's inequality, or with the image's diameter if p > 2.
    """
    height, width = a.shape[1:3]
    rows, columns = np.mgrid[:height, :width] - 0.5 * np.array([[[height - 1]], [[width - 1]]])
    mass = tf.reduce_sum(a, axis=[1, 2])

    def mean(values: Tensor, weights: np.ndarray) -> Tensor:
        total = tf.reduce_sum(values * weights[:, :, np.newaxis], axis=[1, 2])
        return tf.math.divide_no_nan(total, tf.reduce_sum(values, axis=[1, 2]))

    between = sum(mean(a, axis) * mean(b, axis) for axis in (rows, columns))
    square = mean(a, rows**2 + columns**2) + mean(b, rows**2 + columns**2) - 2.0 * between
    square, diameter = tf.nn.relu(square), (height - 1) ** 2 + (width - 1) ** 2
    return mass * square ** (0.5 * min(p, 2.0)) * diameter ** (0.5 * max(p - 2.0, 0.0))
