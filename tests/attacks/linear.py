"""A linear network of two classes whose boundary is near, and how far it is from every image."""

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.task import Task
from rt_tf.threats.region import Region

SHAPE = (4, 4, 1)
COUNT = 6
FAR = {"linf": 0.3, "l2": 1.5, "l1": 5.0}  # radii in which noise finds the other class
MARGIN = 0.2  # Euclidean
W = np.random.default_rng(0).uniform(0.5, 1.0, 16) * np.where(np.arange(16) % 2, 1.0, -1.0)
DISTANCE = {
    "linf": MARGIN * np.linalg.norm(W) / np.abs(W).sum(),
    "l2": MARGIN,
    "l1": MARGIN * np.linalg.norm(W) / np.abs(W).max(),
}


def network(x: tf.Tensor) -> tf.Tensor:
    """Logits [batch, 2]: class 1 on the side of the hyperplane that W points to."""
    score = tf.linalg.matvec(tf.reshape(x, [-1, 16]), tf.constant(W, x.dtype))
    return tf.stack([tf.zeros_like(score), score], axis=1)


def images() -> tf.Tensor:
    """Three at MARGIN from the hyperplane on either side, well within the pixel range."""
    x = np.random.default_rng(1).uniform(0.3, 0.7, [COUNT, 16])
    side = np.where(np.arange(COUNT) % 2, MARGIN, -MARGIN) * np.linalg.norm(W)
    x += ((side - x @ W) / (W @ W))[:, None] * W
    return tf.constant(x.reshape([COUNT, *SHAPE]), tf.float32)


def task(threat: str, eps: float | tf.Tensor | None = None, seed: int = 0, **other) -> Task:
    """The attack of those images, `other` being any of the task's fields."""
    region = Region(catalogue.resolve("threat", threat)(), images(), eps or FAR[threat])
    keys = noise.keys(tf.constant([seed], tf.int64), tf.range(COUNT))
    labels = tf.constant(np.arange(COUNT) % 2, tf.int64)
    return Task(**{"network": network, "region": region, "labels": labels, "keys": keys, **other})


def moves(task: Task, x: tf.Tensor) -> np.ndarray:
    """The distances of points from the images, in the task's threat's norm: [batch]."""
    order = {"linf": np.inf, "l2": 2, "l1": 1}[task.region.threat.name]
    move = (x.numpy() - task.region.x.numpy()).reshape([len(x), -1])
    return np.linalg.norm(move, order, axis=1)
