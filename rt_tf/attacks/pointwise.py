"""The pointwise attack: as few pixels moved as the network's answers alone let one find.

Source: Schott et al. 2019, "Towards the first adversarially robust neural network model on MNIST".
"""

import math
from collections.abc import Callable

import tensorflow as tf

from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

AMOUNTS = 64  # of salt-and-pepper noise, tried from none to every pixel
HALVINGS = 10
SETTLED = 0.01  # of the pixel range: a pixel that moves less has not moved

Errs = Callable[[Tensor], Tensor]  # values of one pixel of every example -> [batch] bool


def pointwise(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Sets noisy pixels back one by one, then part of the way, wherever the network still errs.

    steps: rounds over the pixels, of either kind, at most; it ends when nothing moves any more.
    From the least salt-and-pepper noise on which the network errs, whatever `start`; where it errs
    on none, the image is returned.
    """
    if step_size:
        raise UserError(f"step_size: expected 0: pointwise has none; received {step_size}")
    task = task.inward()
    z = _settle(task, _noisy(task), steps, halvings=0)
    return tf.stop_gradient(_settle(task, z, steps, halvings=HALVINGS))


def _noisy(task: Task) -> Tensor:
    """The least noise on which the network errs, else the image: [batch, ...]."""
    region = task.region

    def more(number: Tensor, found: Tensor, z: Tensor) -> list[Tensor]:
        amount, noise = tf.cast(number, z.dtype) / AMOUNTS, task.noise(number)
        noisy = tf.where(noise < 0.5 * amount, tf.cast(region.lower, z.dtype), region.x)
        noisy = tf.where(noise >= 1.0 - 0.5 * amount, tf.cast(region.upper, z.dtype), noisy)
        errs = task.errs(task.logits(noisy))
        return [
            number + 1,
            found | errs,
            tf.where(by_example(errs & ~found, z.shape.rank), noisy, z),
        ]

    nothing = tf.zeros_like(task.labels, tf.bool)
    return tf.while_loop(
        lambda number, found, z: (number <= AMOUNTS) & ~tf.reduce_all(found),
        more,
        [tf.constant(0), nothing, region.x],
    )[2]


def _settle(task: Task, z: Tensor, steps: int, halvings: int) -> Tensor:
    """Rounds over all moved pixels of the examples that the last one changed: [batch, ...]."""
    tolerance = SETTLED * (task.region.upper - task.region.lower)

    def again(number: Tensor, rows: Tensor, z: Tensor) -> list[Tensor]:
        before = tf.gather(z, rows)
        order = task.take(rows).noise(AMOUNTS + 1 + 2 * number + (halvings > 0))
        after = _round(task.take(rows), before, order, halvings)
        moved = tf.reduce_any(_flat(tf.abs(after - before)) > tolerance, axis=1)
        z = tf.tensor_scatter_nd_update(z, rows[:, None], after)
        return [number + 1, tf.boolean_mask(rows, moved), z]

    rows = tf.range(tf.shape(z)[0])
    return tf.while_loop(
        lambda number, rows, z: (number < steps) & (tf.shape(rows)[0] > 0),
        again,
        [tf.constant(0), rows, z],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None]), z.shape],
    )[2]


def _round(task: Task, z: Tensor, order: Tensor, halvings: int) -> Tensor:
    """Every moved pixel of each example, one at a time, in the order of random numbers."""
    x, flat = _flat(task.region.x), _flat(z)
    moved = flat != x
    places = tf.argsort(tf.where(moved, _flat(order), 2.0), axis=1)  # the moved ones first
    counts = tf.math.count_nonzero(moved, axis=1, dtype=tf.int32)

    def one(i: Tensor, flat: Tensor) -> list[Tensor]:
        place = tf.stack([tf.range(tf.shape(flat)[0]), places[:, i]], axis=1)  # [batch, 2]
        own, now = tf.gather_nd(x, place), tf.gather_nd(flat, place)

        def errs(value: Tensor) -> Tensor:
            trial = tf.tensor_scatter_nd_update(flat, place, value)
            return task.errs(task.logits(tf.reshape(trial, tf.shape(z))))

        value = tf.where(i < counts, _nearest(errs, own, now, halvings), now)
        return [i + 1, tf.tensor_scatter_nd_update(flat, place, value)]

    most = tf.reduce_max(counts)
    flat = tf.while_loop(lambda i, flat: i < most, one, [tf.constant(0), flat])[1]
    return tf.reshape(flat, tf.shape(z))


def _nearest(errs: Errs, own: Tensor, now: Tensor, halvings: int) -> Tensor:
    """The value nearest to the image's own, between it and now, on which the network errs."""

    def halve(right: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
        middle = 0.5 * (right + wrong)
        fooled = errs(middle)
        return tf.where(fooled, right, middle), tf.where(fooled, middle, wrong)

    ends = (own, tf.where(errs(own), own, now))
    return tf.while_loop(lambda *_: True, halve, ends, maximum_iterations=halvings)[1]


def _flat(x: Tensor) -> Tensor:
    return tf.reshape(x, [-1, math.prod(x.shape[1:])])
