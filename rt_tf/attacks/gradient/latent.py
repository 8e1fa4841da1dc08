"""The latent attack: gradient ascent in the region that bounds allow a hidden layer.

Its point need not be the image of any input: it is no counterexample, but a reason why the
network's bounds fail, and layerwise adversarial training trains on it. Source: Balunovic & Vechev
2020 (COLT), section 5.
"""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.gradient.pgd import usual
from rt_tf.attacks.starts import START
from rt_tf.attacks.task import Task
from rt_tf.bounds.latent import LatentRegion, Symbols
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example, total


class LatentPoint(NamedTuple):
    """A point of a latent region.

    value: of the region's node, [batch, ...]. symbols: the ones that give it, in [-1, 1].
    """

    value: Tensor
    symbols: Symbols


def latent_attack(
    task: Task,
    latent: LatentRegion,
    steps: int,
    step_size: float = 0.0,
    start: Symbols | None = None,
    signs: bool = False,
) -> LatentPoint:
    """The point to which the task's loss of the network above climbs in a region of its graph.

    The network errs there where `task.errs(latent.above(point.value))`. step_size: the mean
    move of the symbols that matter, in half-widths of their range; 0 for 2.5 / steps. (The
    paper takes the plain gradient times a factor that it does not give.) start: symbols by
    node; random ones by default. signs: whether all symbols move alike, a pixel by step_size
    eps, like PGD.
    """
    size, start = usual(steps, step_size), start or random_symbols(task, latent)
    last = tf.while_loop(
        lambda i, _: i < steps,
        lambda i, symbols: (i + 1, _moved(task, latent, symbols, size, signs)),
        (tf.constant(0), start),
    )
    symbols = {i: tf.stop_gradient(symbol) for i, symbol in last[1].items()}
    return LatentPoint(tf.stop_gradient(latent.point(symbols)), symbols)


def random_symbols(task: Task, latent: LatentRegion) -> Symbols:
    """Symbols uniform in [-1, 1], an example's from its own key, by node: [batch, ...]."""
    keys = noise.fold(task.keys, START)
    return {
        i: 2.0 * noise.uniform(noise.fold(keys, i), shape) - 1.0
        for i, shape in latent.shapes().items()
    }


def image_symbols(latent: LatentRegion, x: Tensor) -> Symbols:
    """The symbols of the images x [batch, ...], with activations in the middle of their bands."""
    box = latent.enclosure.boxes[0]
    pixels = tf.math.divide_no_nan(x - box.centre, box.radius)
    batch = tf.shape(x)[0]
    shapes = latent.shapes()
    middles = {i: tf.zeros([batch, *shape]) for i, shape in shapes.items() if i}
    return {0: tf.clip_by_value(pixels, -1.0, 1.0), **middles}


def _moved(task: Task, latent: LatentRegion, symbols: Symbols, size: float, signs: bool) -> Symbols:
    gradients = _gradients(task, latent, symbols)
    moves = _even(task, latent, gradients) if signs else _steepest(gradients)
    return {i: tf.clip_by_value(e + size * moves[i], -1.0, 1.0) for i, e in symbols.items()}


def _gradients(task: Task, latent: LatentRegion, symbols: Symbols) -> Symbols:
    """The loss's gradient in the symbols: `A^T` times that in the latent point."""
    with tf.GradientTape() as tape:
        tape.watch(symbols)
        logits = tf.cast(latent.above(latent.point(symbols)), tf.float32)
        loss = tf.reduce_sum(task.loss(logits, task.labels, task.targets))
    return tape.gradient(loss, symbols, unconnected_gradients="zero")


def _steepest(gradients: Symbols) -> Symbols:
    """Moves along the gradient, of mean size one over the symbols whose gradient is not zero."""
    sizes = tf.add_n([total(g) for g in gradients.values()])
    live = tf.add_n([total(tf.sign(g)) for g in gradients.values()])
    scale = tf.math.divide_no_nan(live, sizes)
    return {i: g * by_example(scale, g.shape.rank) for i, g in gradients.items()}


def _even(task: Task, latent: LatentRegion, gradients: Symbols) -> Symbols:
    """Moves by signs; pixels that the pixel range leaves less room move as far as the others."""
    moves = {i: tf.sign(g) for i, g in gradients.items()}
    radius = latent.enclosure.boxes[0].radius
    moves[0] *= tf.math.divide_no_nan(task.region.radius() * tf.ones_like(radius), radius)
    return moves
