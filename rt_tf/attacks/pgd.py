"""Projected gradient ascent (Madry et al. 2018) and its one-step form (FGSM; Wong et al. 2020)."""

from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

Loss = Callable[[Tensor], Tensor]


def pgd(
    loss: Loss,
    region: Region,
    noise: Tensor | None = None,
    steps: int = 10,
    step_size: float = 0.0,
) -> Tensor:
    """Climbs `loss` (a point -> [batch]) within the region; returns the last point.

    noise: uniform in [0, 1), shaped as x, for a random start; None starts at x. step_size: in units
    of eps; 0 for 2.5 / steps. Source: Wong 2020 (thesis), algorithm 5.
    """
    region = region.inward()
    size = (step_size or 2.5 / max(steps, 1)) * region.radius()

    def climb(i: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return i + 1, region.project(x + region.step(x, _gradient(loss, x), size))

    start = region.x if noise is None else region.start(noise)
    if steps == 1:
        return tf.stop_gradient(climb(tf.constant(0), start)[1])
    _, x = tf.while_loop(lambda i, x: i < steps, climb, (tf.constant(0), start))
    return tf.stop_gradient(x)


def fgsm(
    loss: Loss,
    region: Region,
    noise: Tensor | None = None,
    steps: int = 1,
    step_size: float = 0.0,
) -> Tensor:
    """One step of steepest ascent, 1.25 eps long by default, whatever `steps` says.

    Source: Wong 2020 (thesis), algorithm 7.
    """
    return pgd(loss, region, noise, steps=1, step_size=step_size or 1.25)


def _gradient(loss: Loss, x: Tensor) -> Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(loss(x))
    return tape.gradient(value, x)
