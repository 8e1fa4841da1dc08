"""Local transport plans: a pixel's mass moves within the k x k pixels around it, in its channel."""

import dataclasses
import itertools

import tensorflow as tf

from rt_tf.network.ops import Tensor

VOID = -1e9  # the potential of a pixel that has no part in a plan
LEAST = 1e-300  # smaller sums count as zero: TensorFlow flushes numbers below 2e-308
SPAN = 600.0  # exp(-SPAN) is well above LEAST


@dataclasses.dataclass(frozen=True)
class LocalPlans:
    """Plans P_ij = exp(alpha_i - psi C_ij + beta_j) of the cost C_ij = |i - j|_2^p.

    size: k, odd. p: of the p-Wasserstein distance, at least 1. Potentials are float64, [batch,
    height, width, channels]; psi: [batch, 1, 1, 1]. C is symmetric, so that statements on rows
    hold for columns.
    """

    size: int = 5
    p: float = 1.0

    def sums(self, potential: Tensor, psi: Tensor, moments: int = 0) -> list[Tensor]:
        """log sum_j exp(beta_j - psi C_ij) by pixel i, then the means of C, C^2, ... so weighted.

        Each is [batch, height, width, channels]; moments: the number of means. By sums of
        exponentials over the rings of equal cost, which only then are multiplied by
        exp(-psi C); term by term where the exponents of a batch span more than float64 can
        hold. VOID, or near it, where all neighbours are void.
        """
        top = tf.reduce_max(potential, axis=[1, 2, 3], keepdims=True)
        low = tf.where(some(potential), potential, top)
        span = top - tf.reduce_min(low, axis=[1, 2, 3], keepdims=True)
        return tf.cond(
            tf.reduce_all(span + psi * self.cost(*[self.size // 2] * 2) < SPAN),
            lambda: self._by_rings(potential, top, psi, moments),
            lambda: self._term_by_term(potential, psi, moments),
        )

    def near(self, mask: Tensor) -> Tensor:
        """The pixels that mass can reach from those of a mask: [batch, height, width, c]."""
        return tf.nn.max_pool2d(tf.cast(mask, tf.float32), self.size, 1, "SAME") > 0.0

    def cost(self, rows: int, columns: int) -> float:
        """The cost of moving by so many rows and columns."""
        return float((rows * rows + columns * columns) ** (0.5 * self.p))

    def _by_rings(self, potential: Tensor, top: Tensor, psi: Tensor, moments: int) -> list[Tensor]:
        rings = self._rings(tf.exp(potential - top))
        terms = {cost: tf.exp(-psi * cost) * ring for cost, ring in rings.items()}
        total = tf.add_n(list(terms.values()))
        log_total = tf.where(total > LEAST, top + tf.math.log(total), VOID)
        sums, total = [log_total], tf.maximum(total, LEAST)
        for _ in range(moments):
            terms = {cost: cost * term for cost, term in terms.items() if cost}
            sums.append((tf.add_n(list(terms.values())) if terms else 0.0 * total) / total)
        return sums

    def _rings(self, values: Tensor) -> dict[float, Tensor]:
        """Sums of the values over all offsets of a cost, by the cost."""
        steps = range(self.size // 2 + 1)
        rows = [_both(values, step, axis=1) for step in steps]
        rings: dict[float, list[Tensor]] = {}
        for a, b in itertools.product(steps, steps):
            rings.setdefault(self.cost(a, b), []).append(_both(rows[a], b, axis=2))
        return {cost: tf.add_n(parts) for cost, parts in rings.items()}

    def _term_by_term(self, potential: Tensor, psi: Tensor, moments: int) -> list[Tensor]:
        reach = range(-(self.size // 2), self.size // 2 + 1)
        costs = [self.cost(*offset) for offset in itertools.product(reach, reach)]
        weights = tf.constant(costs, tf.float64)[:, tf.newaxis]  # [k * k, 1]
        terms = self._patches(potential) - psi[..., tf.newaxis] * weights
        log_total = tf.reduce_logsumexp(terms, axis=3)
        shares = tf.exp(terms - log_total[:, :, :, tf.newaxis])
        means = [tf.reduce_sum(shares * weights ** (n + 1), axis=3) for n in range(moments)]
        return [log_total, *means]

    def _patches(self, values: Tensor) -> Tensor:
        """The pixels around each pixel, void beyond the image: [batch, height, width, k * k, c]."""
        edge, channels = [self.size // 2] * 2, values.shape[3]
        padded = tf.pad(values, [[0, 0], edge, edge, [0, 0]], constant_values=VOID)
        sizes, ones = [1, self.size, self.size, 1], [1, 1, 1, 1]
        patches = tf.image.extract_patches(padded, sizes, ones, ones, "VALID")
        return tf.reshape(patches, [*tf.unstack(tf.shape(values)[:3]), self.size**2, channels])


def some(potential: Tensor) -> Tensor:
    """Whether potentials of any shape, or log sums of such, are not void, elementwise."""
    return potential > 0.5 * VOID


def logarithm(x: Tensor) -> Tensor:
    """The logarithm of x >= 0, elementwise; VOID where x is 0."""
    return tf.where(x > 0.0, tf.math.log(tf.where(x > 0.0, x, 1.0)), VOID)


def scaled(log_mass: Tensor, log_sum: Tensor) -> Tensor:
    """The potentials at which rows add up to a mass, elementwise for logarithms of any shape.

    Void where there is no mass, or none around.
    """
    return tf.where(some(log_mass) & some(log_sum), log_mass - log_sum, VOID)


def _both(values: Tensor, steps: int, axis: int) -> Tensor:
    """The sum of the values so many steps before and after each pixel along an axis."""
    if not steps:
        return values
    padded = tf.pad(values, [[steps * (i == axis)] * 2 for i in range(4)])
    if axis == 1:
        return padded[:, 2 * steps :] + padded[:, : -2 * steps]
    return padded[:, :, 2 * steps :] + padded[:, :, : -2 * steps]
