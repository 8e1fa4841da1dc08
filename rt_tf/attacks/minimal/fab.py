"""The fast adaptive boundary attack: towards the nearest point that a network misclassifies.

Source: Croce & Hein 2020 (Minimally distorted adversarial examples), algorithm 1; towards one class
after another as in Croce & Hein 2020 (Reliable evaluation).
"""

import math

import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done, skip_empty_batch
from rt_tf.attacks.best_point import each
from rt_tf.attacks.losses import margin
from rt_tf.attacks.minimal.hyperplane import onto
from rt_tf.attacks.minimal.nearest import NORMS, Nearest, noted, reached, shortened
from rt_tf.attacks.preflight import refuse_features
from rt_tf.attacks.targets import RIVALS, aimed, rivals
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example
from rt_tf.threats.region import Region

BEYOND = 1.05  # eta: steps lead that far past the boundary
BIAS = 0.1  # alpha_max: at most that share of a step starts at the image
BACK = 0.9  # beta: so far out a search goes on from a counterexample


@skip_empty_batch
def fab_t(
    task: Task,
    start: Tensor,
    *,
    steps: int,
    step_size: float = 0.0,
    classes: int = RIVALS,
    early_stop: bool = True,
) -> Tensor:
    """The nearest counterexample, if it is in the region, else the region's point nearest to it.

    Points [batch, ...]. steps: towards each of the likeliest wrong `classes`. step_size is
    ignored. early_stop: any counterexample of the region will do; else nearer ones are sought
    to the end. UserError where features have radii of their own.
    """
    refuse_features("fab", task.region)
    targets = rivals(task, classes)

    def step(some: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        x, distance, start, targets = carried
        at = aimed(some, targets[:, i], margin)
        nearest = _sought(at, start, Nearest(x, distance), steps, early_stop)
        return [*nearest, start, targets], reached(some.region, nearest) & early_stop

    carried = [start, each(start, math.inf), start, targets]
    last = loop_until_done(task, carried, targets.shape[1], step)
    x = shortened(task, Nearest(*last[:2]), early_stop).x
    return chosen(task.region.inside(x), x, task.inward().region.project(x))


def _sought(task: Task, start: Tensor, nearest: Nearest, steps: int, early_stop: bool) -> Nearest:
    """The nearest counterexample after a search for the boundary to the task's targets."""

    def step(at: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        x, *rest = carried
        x = _moved(at.region, x, at.evaluate(x), at.scale)
        logits = at.logits(x)
        nearest = noted(at, Nearest(*rest), x, logits)
        back = at.region.x + BACK * (x - at.region.x)
        x = chosen(at.errs(logits), back, x)
        return [x, *nearest], reached(at.region, nearest) & early_stop

    return Nearest(*loop_until_done(task, [start, *nearest], steps, step)[1:])


def _moved(region: Region, x: Tensor, evaluation: Evaluation, scale: float) -> Tensor:
    """One step past the boundary that the gradient at x predicts, biased towards the image."""
    name, ends, rank = region.threat.name, (region.lower, region.upper), x.shape.rank
    slope, image = evaluation.gradient / scale, region.x
    there = evaluation.loss + tf.reduce_sum(
        slope * (image - x), axis=list(range(1, rank))
    )  # [batch]
    from_x = onto(name, x, slope, -evaluation.loss, ends)
    from_image = onto(name, image, slope, -there, ends)
    near, far = NORMS[name](from_x), NORMS[name](from_image)
    bias = by_example(tf.minimum(tf.math.divide_no_nan(near, near + far), BIAS), rank)
    new = (1.0 - bias) * (x + BEYOND * from_x) + bias * (image + BEYOND * from_image)
    return tf.clip_by_value(new, *ends)
