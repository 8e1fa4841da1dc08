"""A plug-in: a data set, a network, an attack, a point term and a bound, rows of the catalogue.

cd examples/plugin
python -m pipelines.train --import=rings_plugin --flagfile=rings.cfg --model_dir=runs/rings
"""

import keras
import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.targets import signed_margin
from rt_tf.bounds.by_part import by_part
from rt_tf.bounds.methods import fast_lin_ibp_bounds, interval_bounds
from rt_tf.catalogue.entries import AttackEntry, Entry
from rt_tf.training.objectives.point import Attacked, Point


def rings():
    """Points of two rings in the unit square, as a table, and their labels."""
    draw = np.random.default_rng(0)
    labels = np.arange(1000) % 2
    angles, radii = draw.uniform(0, 2 * np.pi, 1000), 0.2 + 0.25 * labels
    centred = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (0.5 + centred + draw.normal(0, 0.01, (1000, 2))), labels


def rings_fc(input_shape, classes, **options):
    """Two dense layers of 40 units; it has none of the options of other networks."""
    layers = [keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu")]
    return keras.Sequential([keras.Input(input_shape), *layers, keras.layers.Dense(classes)])


def corners(task, start, *, steps, step_size=0.0):
    """The worst of random corners of the Linf ball, `steps` of them, and the start."""
    task = task.inward()
    lower, upper = task.region.box()
    best, highest = start, signed_margin(task, task.logits(start))
    for step in range(steps):
        chance = noise.uniform(noise.fold(task.keys, step + 1), start.shape[1:])
        x = task.region.project(tf.where(chance < 0.5, lower, upper))
        margin = signed_margin(task, task.logits(x))
        best = tf.where((margin > highest)[:, tf.newaxis], x, best)
        highest = tf.maximum(margin, highest)
    return best


class Halfway(Attacked):
    """The loss halfway between the example and the end of PGD."""

    def __call__(self, batch, tape):
        x = 0.5 * (batch.region.x + super().__call__(batch, tape).x)
        logits = batch.logits(x)
        return Point(x, logits, batch.mean_loss(logits))


def halfway(phase):
    """The point term of a phase's settings."""
    settings = {"steps": phase.attack_steps, "step_size": phase.attack_step_size}
    return Halfway(catalogue.attack("pgd", settings))


@by_part
def better(graph, region, spec, arithmetic="fast"):
    """The better of interval bounds and backward bounds with parallel lines, margin by margin."""
    bounds = interval_bounds(graph, region, spec, arithmetic)
    margins = fast_lin_ibp_bounds(graph, region, spec, arithmetic).margins
    return bounds._replace(margins=tf.maximum(bounds.margins, margins))


HERE = __name__
catalogue.add("dataset", "rings", Entry(f"{HERE}:rings", "points of two rings"))
catalogue.add("model", "rings_fc", Entry(f"{HERE}:rings_fc", "fc 40, fc 40"))
corner_entry = AttackEntry(f"{HERE}:corners", "random corners of the ball", threats=("linf",))
catalogue.add("attack", "corners", corner_entry)
catalogue.add("point_term", "halfway", Entry(f"{HERE}:halfway", "halfway to the end of PGD"))
catalogue.add("bound", "better", Entry(f"{HERE}:better", "interval or parallel lines"))
