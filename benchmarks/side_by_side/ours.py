"""This library's computations of the lines, compiled."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks.side_by_side.lines import NETWORKS, Line
from rt_tf import catalogue, models
from rt_tf.bounds.result import margin_spec
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.batch import Batch
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Clean, Point
from rt_tf.training.objectives.worst_case import WorstCase

CLASSES = 10
RATE = 1e-4
Run = Callable[[], Any]


class Absent:
    """A point term of nothing, which leaves a step without a clean pass: the bound is all of it."""

    needs_clean: ClassVar[bool] = False

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        """The images, with logits of 0 [batch, classes] and a loss of 0."""
        logits = tf.zeros([tf.shape(batch.labels)[0], CLASSES])
        return Point(batch.region.x, logits, tf.constant(0.0))

    def frozen(self, wiring: Wiring) -> set[str]:
        """The names of the layers that are not trained: none."""
        return set()


class Subject(NamedTuple):
    """A network, images [batch, rows, columns, channels] and the labels it gives them [batch]."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray


def subject(line: Line) -> Subject:
    """A line's network with random weights, and random images."""
    network = NETWORKS[line.network]
    keras.utils.set_random_seed(0)
    model = models.build(network.model, network.shape, CLASSES, scale=network.scale)
    images = np.random.default_rng(0).random((line.batch, *network.shape), np.float32)
    return Subject(model, images, model(images).numpy().argmax(axis=1))


def run(line: Line, on: Subject) -> Run:
    """A function that takes a training step or computes margins."""
    return (training if line.task == "training" else certification)(line, on)


def training(line: Line, on: Subject) -> Run:
    """A training step: bound, loss, gradients, Adam; of the images' own loss for `natural`."""
    natural, bound = line.method == "natural", None
    if not natural:
        bound = WorstCase(catalogue.resolve("bound", line.method))
    point = Clean() if natural else Absent()
    objective = Objective(Linf(), point, bound, bound_only=not natural)
    model = RobustModel(on.model)
    eps = NETWORKS[line.network].eps
    model.compile(keras.optimizers.Adam(RATE), objective, eps, None if natural else 1.0)
    step = tf.function(model.step, autograph=False)
    batch = tf.constant(on.images), tf.constant(on.labels)
    return lambda: float(step(*batch).loss)


def certification(line: Line, on: Subject) -> Run:
    """The margins' lower bounds, without gradients: [batch, classes - 1]."""
    bound, wiring = catalogue.resolve("bound", line.method), trace(on.model)
    eps = NETWORKS[line.network].eps

    @tf.function(autograph=False)
    def margins(x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        region, spec = Region(Linf(), x, eps), margin_spec(labels, CLASSES)
        return bound(wiring.lower(), region, spec, arithmetic=line.arithmetic).margins

    batch = tf.constant(on.images), tf.constant(on.labels)
    return lambda: margins(*batch).numpy()
