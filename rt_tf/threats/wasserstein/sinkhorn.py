"""Projected Sinkhorn: the nearest point of a Wasserstein ball, by the dual of an entropic plan."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.wasserstein.feasible import Mass, Potentials, rounded
from rt_tf.threats.wasserstein.transport import VOID, LocalPlans, logarithm, scaled, some

Fit = Callable[[Tensor], Tensor]  # log sum_i exp(alpha_i - psi C_ij), by j, to the best beta_j

LEAST_EXPONENT = -690.0  # float64 holds exp of this; what follows below it is as good as zero
LAMBERT_STEPS = 2  # each to the fourth power: the start is off by at most a quarter
LOG_PSI = (-2.0, 8.0, 4.0, 2.0, 1.0)  # exponents of two: the least to start from, steps up


class _State(NamedTuple):
    """The state of the iterations; beta and psi are the next one's start.

    best: the last potentials that were the best for one another, before `beta` was moved ahead
    by momentum. steps: since the momentum began, [batch, 1, 1, 1]. busy: [batch, 1, 1, 1].
    """

    best: Potentials
    beta: Tensor
    psi: Tensor
    steps: Tensor
    busy: Tensor


@dataclasses.dataclass(frozen=True)
class Sinkhorn:
    """Projected and conjugate Sinkhorn iterations.

    weight: lambda, of the objective against the plan's entropy. An example is done when the
    mass that the plan misplaces, and its cost's distance to eps, relative to eps, are at most
    the tolerance, or after so many iterations. Points are in the ball at any tolerance.

    Source: Wong 2020 (thesis), algorithm 8 and section 5.1.6.
    """

    plans: LocalPlans
    weight: float = 1000.0
    tolerance: float = 1e-3
    iterations: int = 50

    def project(self, mass: Mass, w: Tensor) -> Tensor:
        """The z of min weight / 2 |w - z|^2 + <P, log P> over plans P from x to z <= ceiling.

        w: [batch, height, width, channels], float64, like the result. Plans cost at most
        eps. Optimal is z = min(w - beta / weight, ceiling), the thesis's z except where a
        pixel is full: its multiplier takes up the difference, and beta is what fills it.
        """
        target, ceiling = self.weight * w, tf.math.log(mass.ceiling)

        def fit(log_sum: Tensor) -> Tensor:
            free = target - lambert_of_exp(math.log(self.weight) + log_sum + target)
            return tf.minimum(free, ceiling - log_sum)

        potentials = self._solve(mass, fit, target - self.weight * mass.x, tf.ones_like(mass.eps))
        return rounded(mass, self.plans, potentials)

    def conjugate(self, mass: Mass, coefficients: Tensor) -> Tensor:
        """The point z of min weight <coefficients, z> + <P, log P> over the plans of `project`.

        coefficients: [batch, height, width, channels], float64, like the result. Optimal is
        beta = -weight coefficients, less a full pixel's multiplier.
        """
        fixed, ceiling = -self.weight * coefficients, tf.math.log(mass.ceiling)

        def fit(log_sum: Tensor) -> Tensor:
            return tf.minimum(fixed, ceiling - log_sum)

        potentials = self._solve(mass, fit, fixed, self._enough(mass, fixed))
        return rounded(mass, self.plans, potentials)

    def _solve(self, mass: Mass, fit: Fit, beta: Tensor, psi: Tensor) -> Potentials:
        """The potentials by ascent of the dual by blocks, from a first beta, by example."""
        beta, zero = tf.where(self.plans.near(mass.x > 0.0), beta, VOID), tf.zeros_like(psi)
        start = _State(Potentials(beta, beta, psi), beta, psi, zero, mass.eps > 0.0)
        log_x = logarithm(mass.x)

        def advance(old: _State) -> tuple[_State]:
            new = self._advance(mass, log_x, fit, old)
            return (tf.nest.map_structure(lambda a, b: tf.where(old.busy, b, a), old, new),)

        loop = (lambda state: tf.reduce_any(state.busy)), advance, (start,)
        return tf.while_loop(*loop, maximum_iterations=self.iterations)[0].best

    def _enough(self, mass: Mass, beta: Tensor) -> Tensor:
        """The least power of two for psi at which the plan of a fixed beta costs at most eps."""
        log_psi = tf.zeros_like(mass.eps) + LOG_PSI[0]
        for step in LOG_PSI[1:]:
            _, cost = self.plans.sums(beta, 2.0 ** (log_psi + step - 1.0), moments=1)
            log_psi += step * tf.cast(_total(mass.x * cost) > mass.eps, tf.float64)
        return 2.0**log_psi

    def _advance(self, mass: Mass, log_x: Tensor, fit: Fit, old: _State) -> _State:
        """The best alpha, then the best beta, moved ahead by momentum; a Newton step of psi.

        There is no momentum as long as psi is far off.
        """
        log_sum, cost, square = self.plans.sums(old.beta, old.psi, moments=2)
        alpha = scaled(log_x, log_sum)
        (log_sum,) = self.plans.sums(alpha, old.psi)
        beta = tf.where(some(log_sum), fit(log_sum), VOID)
        spent, move = _newton(mass, self.plans, cost, square)
        psi = tf.maximum(old.psi + move, 0.0)
        far = tf.abs(psi - old.psi) > 0.1 * (1.0 + psi)
        ahead, steps = hastened(
            beta, old.best.beta, old.beta, tf.where(far, -tf.ones_like(psi), old.steps)
        )
        misplaced = _total(tf.abs(tf.exp(old.beta + log_sum) - tf.exp(beta + log_sum)))
        off = tf.where(old.psi > 0.0, tf.abs(spent - mass.eps), spent - mass.eps)
        busy = (misplaced > self.tolerance) | (off > self.tolerance * mass.eps)
        return _State(Potentials(alpha, beta, old.psi), ahead, psi, steps, busy)


def hastened(best: Tensor, last: Tensor, before: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """The beta to which Nesterov's momentum leads from the best one, and the steps since it began.

    last: the best beta before; before: the one that `best` came from; each [batch, height,
    width, channels]. The momentum begins anew when it led away from the best beta (O'Donoghue
    & Candes 2015: the gradient scheme).
    """
    back = _total((best - before) * (best - last)) < 0.0
    steps = tf.where(back, tf.zeros_like(steps), steps + 1.0)
    return best + steps / (steps + 3.0) * (best - last), steps


def _newton(mass: Mass, plans: LocalPlans, cost: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
    """The plan's cost, and the step of psi towards a cost of eps.

    Newton's for log <P, C> = log eps, which is convex in psi, so that a step up never leads too
    far; a step down has the steepest slope that there can be. The thesis's, for <P, C> = eps,
    can jump to and fro between plans that hardly mix.
    """
    spent = _total(mass.x * cost)
    slope = _total(mass.x * square) / tf.maximum(spent, 1e-300)
    excess = tf.math.log(tf.maximum(spent, 1e-300) / mass.eps)
    steepest = plans.cost(plans.size // 2, plans.size // 2)
    return spent, excess / tf.where(excess > 0.0, slope, steepest)


def _total(values: Tensor) -> Tensor:
    return tf.reduce_sum(values, axis=[1, 2, 3], keepdims=True)


def lambert_of_exp(t: Tensor) -> Tensor:
    """The Lambert W function of exp(t), elementwise, in float64's precision; t has any shape.

    It is the y > 0 with y + log y = t; exp(t) itself may be too large or small to represent. The
    iteration of Fritsch, Shafer and Crowley (1973), from softplus(t), which is near at both
    ends.
    """
    t = tf.maximum(t, LEAST_EXPONENT)
    y = tf.math.softplus(t)
    for _ in range(LAMBERT_STEPS):
        error = t - tf.math.log(y) - y
        scale = 2.0 * (1.0 + y) * (1.0 + y + error * (2.0 / 3.0))
        y *= 1.0 + error / (1.0 + y) * (scale - error) / (scale - 2.0 * error)
    return y
