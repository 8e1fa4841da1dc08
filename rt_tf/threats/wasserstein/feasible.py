"""Feasible points from the potentials of a nearly feasible plan."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.wasserstein.transport import LocalPlans, logarithm, scaled


class Mass(NamedTuple):
    """Mass x [batch, height, width, channels] to be moved at a cost of eps, up to a ceiling.

    In float64; x adds up to one, or to zero, by example. eps, ceiling: [batch, 1, 1, 1].
    """

    x: Tensor
    eps: Tensor
    ceiling: Tensor


class Potentials(NamedTuple):
    """The plan exp(alpha_i - psi C_ij + beta_j): the -1 in the paper's exponent is in alpha."""

    alpha: Tensor
    beta: Tensor
    psi: Tensor


def rounded(mass: Mass, plans: LocalPlans, potentials: Potentials) -> Tensor:
    """A point that mass moves to by a plan of cost <= eps, in float64: [batch, height, width, c].

    No column of the potentials' plan may be above the ceiling. Rows are scaled down to x; the
    rest of x stays where it is, or goes to any other pixel where there is no room. If all that
    is too dear, every pixel sends but a share of it, which costs that share.
    """
    into, rest, cost = deficient(mass.x, plans, potentials)
    stays = tf.minimum(rest, tf.nn.relu(mass.ceiling - into))
    lost = tf.reduce_sum(rest - stays, axis=[1, 2], keepdims=True)  # [batch, 1, 1, channels]
    room = tf.nn.relu(mass.ceiling - into - stays)
    share = tf.math.divide_no_nan(lost, tf.reduce_sum(room, axis=[1, 2], keepdims=True))
    z = into + stays + share * room
    height, width = mass.x.shape[1:3]
    cost += tf.reduce_sum(lost, axis=3, keepdims=True) * plans.cost(height - 1, width - 1)
    return mass.x + tf.minimum(tf.math.divide_no_nan(mass.eps, cost), 1.0) * (z - mass.x)


def deficient(
    x: Tensor, plans: LocalPlans, potentials: Potentials
) -> tuple[Tensor, Tensor, Tensor]:
    """The columns of a plan whose rows are scaled down to at most x, the rest of x, and the cost.

    Rows become min(row, x), so that no column grows. [batch, height, width, c] twice, and
    [batch, 1, 1, 1].
    """
    log_sum, costs = plans.sums(potentials.beta, potentials.psi, moments=1)
    alpha = tf.minimum(potentials.alpha, scaled(logarithm(x), log_sum))
    rows = tf.exp(alpha + log_sum)
    into = tf.exp(potentials.beta + plans.sums(alpha, potentials.psi)[0])
    return into, tf.nn.relu(x - rows), tf.reduce_sum(rows * costs, axis=[1, 2, 3], keepdims=True)
