"""The pointwise attack: as few pixels moved as the network's answers alone allow.

Source: Schott et al. 2019, "Towards the first adversarially robust neural network model on MNIST".
"""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done
from rt_tf.attacks.preflight import refuse_unlimited
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor

AMOUNTS = 64  # of salt-and-pepper noise, from none to every pixel
HALVINGS = 10
SETTLED = 0.01  # of the pixel range: a pixel that moves less has not moved

Errs = Callable[[Tensor], Tensor]  # values of one pixel of every example -> [batch] bool


def pointwise(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Points [batch, ...]: noisy pixels set back one by one, then part of the way, while it errs.

    steps: the most rounds over the pixels, of either kind; it ends when nothing moves any more.
    It begins with the least salt-and-pepper noise on which the network errs, whatever `start`;
    where it errs on none, the image is returned. UserError for a step_size, and without ends of
    the domain.
    """
    if step_size:
        raise UserError(f"step_size: expected 0: pointwise has none; received {step_size}")
    refuse_unlimited("pointwise", task.region)
    task = task.inward()
    z = _settle(task, _noisy(task), steps, halvings=0)
    return tf.stop_gradient(_settle(task, z, steps, halvings=HALVINGS))


def _noisy(task: Task) -> Tensor:
    """The least noise on which the network errs, else the image: [batch, ...]."""

    def more(at: Task, number: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        (z,), region = carried, at.region
        amount, noise = tf.cast(number, z.dtype) / AMOUNTS, at.noise(number)
        noisy = tf.where(noise < 0.5 * amount, tf.cast(region.lower, z.dtype), region.x)
        noisy = tf.where(noise >= 1.0 - 0.5 * amount, tf.cast(region.upper, z.dtype), noisy)
        errs = at.errs(at.logits(noisy))
        return [chosen(errs, noisy, z)], errs

    return loop_until_done(task, [task.region.x], AMOUNTS + 1, more)[0]


def _settle(task: Task, z: Tensor, steps: int, halvings: int) -> Tensor:
    """Rounds over all moved pixels of the examples that the last one changed: [batch, ...]."""
    tolerance = SETTLED * (task.region.upper - task.region.lower)

    def again(at: Task, number: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        (before,) = carried
        order = at.noise(AMOUNTS + 1 + 2 * number + (halvings > 0))
        after = _round(at, before, order, halvings)
        moved = tf.reduce_any(_flat(tf.abs(after - before)) > tolerance, axis=1)
        return [after], ~moved

    return loop_until_done(task, [z], steps, again)[0]


def _round(task: Task, z: Tensor, order: Tensor, halvings: int) -> Tensor:
    """Every moved pixel of each example, one at a time, in the order of random numbers."""
    x, flat = _flat(task.region.x), _flat(z)
    moved = flat != x
    places = tf.argsort(tf.where(moved, _flat(order), 2.0), axis=1)  # the moved ones first
    counts = tf.math.count_nonzero(moved, axis=1, dtype=tf.int32)

    def one(i: Tensor, flat: Tensor) -> list[Tensor]:
        place = tf.stack([tf.range(tf.shape(flat)[0]), places[:, i]], axis=1)  # [batch, 2]
        original, now = tf.gather_nd(x, place), tf.gather_nd(flat, place)

        def errs(value: Tensor) -> Tensor:
            trial = tf.tensor_scatter_nd_update(flat, place, value)
            return task.errs(task.logits(tf.reshape(trial, tf.shape(z))))

        value = tf.where(i < counts, _nearest(errs, original, now, halvings), now)
        return [i + 1, tf.tensor_scatter_nd_update(flat, place, value)]

    most = tf.reduce_max(counts)
    flat = tf.while_loop(lambda i, flat: i < most, one, [tf.constant(0), flat])[1]
    return tf.reshape(flat, tf.shape(z))


def _nearest(errs: Errs, original: Tensor, now: Tensor, halvings: int) -> Tensor:
    """The value nearest to the original, between it and now, on which the network errs."""

    def halve(right: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
        middle = 0.5 * (right + wrong)
        fooled = errs(middle)
        return tf.where(fooled, right, middle), tf.where(fooled, middle, wrong)

    ends = (original, tf.where(errs(original), original, now))
    return tf.while_loop(lambda *_: True, halve, ends, maximum_iterations=halvings)[1]


def _flat(x: Tensor) -> Tensor:
    return tf.reshape(x, [-1, math.prod(x.shape[1:])])
