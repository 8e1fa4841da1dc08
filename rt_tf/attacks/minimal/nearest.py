"""The nearest counterexample of an attack so far, and a search for a nearer one on the way."""

import math
from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done
from rt_tf.attacks.best_point import each
from rt_tf.attacks.targets import signed_margin
from rt_tf.attacks.task import Task
from rt_tf.network.ops import Tensor
from rt_tf.threats import norms
from rt_tf.threats.norms import by_example
from rt_tf.threats.region import Region

NORMS = {"linf": norms.largest, "l2": norms.euclidean, "l1": norms.total}

SEARCHES = 4  # forward passes
SHORT = 0.05  # of the way back to the counterexample, so as not to end before the boundary


class Nearest(NamedTuple):
    """By example the nearest counterexample, [batch, ...], and its distance, else infinity."""

    x: Tensor
    distance: Tensor


def noted(task: Task, nearest: Nearest, x: Tensor, logits: Tensor) -> Nearest:
    """The nearest counterexample after x [batch, ...] with these logits."""
    distance = NORMS[task.region.threat.name](x - task.region.x)
    nearer = task.errs(logits) & (distance < nearest.distance)
    distance = tf.where(nearer, distance, nearest.distance)
    return Nearest(chosen(nearer, x, nearest.x), distance)


def reached(region: Region, nearest: Nearest) -> Tensor:
    """Whether there is a counterexample in the region: [batch]."""
    return (nearest.distance < math.inf) & region.inside(nearest.x)


def shortened(task: Task, nearest: Nearest, early_stop: bool) -> Nearest:
    """A nearer counterexample on the straight way from the image, where the lead is nearly zero.

    By the secant of the lead, again and again. early_stop: examples with one in the region
    stop. Source: Croce & Hein 2020 (FAB).
    """
    far, exists = nearest.x, nearest.distance < math.inf
    before, after = (signed_margin(task, task.logits(x)) for x in (task.region.x, far))
    ends = [each(far, 0.0), tf.minimum(before, 0.0), each(far, 1.0), after]

    def step(at: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        far, exists, *rest = carried
        ends, nearest = rest[:4], Nearest(*rest[4:])
        share = _beyond_zero(*ends)
        x = at.region.x + by_example(share, far.shape.rank) * (far - at.region.x)
        x = tf.clip_by_value(x, at.region.lower, at.region.upper)
        logits = at.logits(x)
        nearest = noted(at, nearest, x, logits)
        ends = _narrowed(ends, share, signed_margin(at, logits))
        return [far, exists, *ends, *nearest], ~exists | (reached(at.region, nearest) & early_stop)

    return Nearest(*loop_until_done(task, [far, exists, *ends, *nearest], SEARCHES, step)[-2:])


def _beyond_zero(low: Tensor, before: Tensor, high: Tensor, after: Tensor) -> Tensor:
    """The share a little beyond the zero of the secant through two leads."""
    zero = low + (high - low) * tf.math.divide_no_nan(before, before - after)
    return zero + SHORT * (high - zero)


def _narrowed(ends: list[Tensor], share: Tensor, value: Tensor) -> list[Tensor]:
    low, before, high, after = ends
    errs = value > 0.0
    return [
        tf.where(errs, low, share),
        tf.where(errs, before, value),
        tf.where(errs, share, high),
        tf.where(errs, value, after),
    ]
