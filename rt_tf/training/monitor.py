"""A monitor of a network in training: clean, attacked and verified accuracy on fixed examples."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.judging import Attack, AttackOutcome, attack_with_restarts
from rt_tf.attacks.losses import odds
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.task import Task
from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.result import Bounds, Box, certified
from rt_tf.data import Split
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat

BATCH = 200


class Accuracies(NamedTuple):
    """Shares of examples in [0, 1]; None where there is no attack or no bound."""

    clean: float
    attacked: float | None
    verified: float | None


class Widths(NamedTuple):
    """The bounds of every activation's input.

    names: of the activations. widths: of the bounds, all values of an activation in one array.
    stable: the share of units that do not change sign, by activation [batch].
    """

    names: list[str]
    widths: list[np.ndarray]
    stable: list[np.ndarray]


class Adversarial(NamedTuple):
    """The end of an attack.

    x: the points, [batch, ...]. answers, answers_after: classes at the images and at the points,
    [batch]. distances: from the images, [batch].
    """

    x: np.ndarray
    answers: np.ndarray
    answers_after: np.ndarray
    distances: np.ndarray


class Monitor:
    """Evaluates a network at the target radius, in float32 and at inference.

    attack: from a random start; None for none. bound: a bound method; None for none.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        eps: float,
        bound: Callable[..., Bounds] | None,
        attack: Attack | None,
        seed: int = 0,
    ) -> None:
        self.wiring = wiring
        self.threat = threat
        self.eps = eps
        self.bound = bound
        self.attack = attack
        self.seed = seed
        self._judge = tf.function(self._judged, autograph=False, reduce_retracing=True)
        self._attack_images = tf.function(self._adversarial, autograph=False, reduce_retracing=True)

    def adversarial(self, x: Tensor, labels: Tensor, index: Tensor) -> Adversarial:
        """The attack's end points from images, with the network's answers and the distances.

        x: [batch, ...]; labels, index: [batch].
        """
        return Adversarial(*(tensor.numpy() for tensor in self._attack_images(x, labels, index)))

    def accuracies(self, split: Split, eps: Tensor | None = None) -> Accuracies:
        """The shares of a split's examples that are right, withstand the attack, and are verified.

        eps: another radius than the target; a scalar, so that one graph serves for all.
        """
        verdicts = np.concatenate(list(self._verdicts(split, eps)), axis=1)  # [3, n]
        clean, withstood, verified = verdicts.mean(axis=1)
        return Accuracies(
            float(clean),
            float(withstood) if self.attack else None,
            float(verified) if self.bound else None,
        )

    def certified(self, split: Split) -> np.ndarray:
        """Whether the bound certifies the network's own answer on each example: [n] bool."""
        answer = tf.function(lambda x: tf.argmax(self.wiring.lower()(x), -1), autograph=False)
        answers = np.concatenate([answer(images).numpy() for images in split.portions()])
        answered = dataclasses.replace(split, labels=answers)
        return np.concatenate([verdict[2] for verdict in self._verdicts(answered)]) > 0.0

    def of(self, wiring: Wiring) -> "Monitor":
        """A monitor of another network with the same bound, and without an attack."""
        return Monitor(wiring, self.threat, self.eps, self.bound, None, self.seed)

    def widths(self, split: Split) -> Widths:
        """Bound widths and stable shares of the activations, on the split's first examples."""
        if self.bound is None:
            return Widths([], [], [])
        images, labels = split.images(slice(0, BATCH)), split.labels[:BATCH]
        names, boxes = self._activation_boxes(tf.constant(images), tf.constant(labels))
        widths = [(box.upper - box.lower).numpy().ravel() for box in boxes]
        return Widths(names, widths, [_stable_share(box) for box in boxes])

    def _verdicts(self, split: Split, eps: Tensor | None = None) -> Any:
        for begin in range(0, len(split), BATCH):
            rows = slice(begin, begin + BATCH)
            verdict = self._judge(split.images(rows), split.labels[rows], split.index[rows], eps)
            yield np.array(verdict)

    def _judged(self, x: Tensor, labels: Tensor, index: Tensor, eps: Tensor | None) -> list[Tensor]:
        graph = self.wiring.lower()
        region = self._region(x, eps)
        right = tf.argmax(graph(x), -1) == labels
        withstood = verified = right
        if self.attack is not None:
            withstood = right & ~self._attacked(graph, region, labels, index).success
        if self.bound is not None:
            margins = self.bound(graph, region, margin_rows(labels, self.wiring.classes)).margins
            verified = certified(margins)
        return [tf.cast(v, tf.float32) for v in (right, withstood, verified)]

    def _region(self, x: Tensor, eps: Tensor | None = None) -> Region:
        return Region(self.threat, x, self.eps if eps is None else eps, self.wiring.domain)

    def _adversarial(self, x: Tensor, labels: Tensor, index: Tensor) -> list[Tensor]:
        graph, region = self.wiring.lower(), self._region(x)
        points = self._attacked(graph, region, labels, index).x
        answers = [tf.argmax(graph(images), -1) for images in (x, points)]
        return [points, *answers, region.distance(points)]

    def _attacked(self, graph: Any, region: Region, labels: Tensor, index: Tensor) -> AttackOutcome:
        keys = noise.keys(tf.constant([self.seed, 1], tf.int64), index)
        assert self.attack is not None
        return attack_with_restarts(Task(graph, region, labels, keys, odds), self.attack, uniform)

    def _activation_boxes(self, x: Tensor, labels: Tensor) -> tuple[list[str], list[Box]]:
        graph = self.wiring.lower()
        spec = margin_rows(labels, self.wiring.classes)
        assert self.bound is not None
        boxes = self.bound(graph, self._region(x), spec).boxes
        nodes = [graph.nodes[i - 1] for i in graph.activations()]
        names = [node.name for node in nodes]
        return _distinct(names), [boxes[node.inputs[0]] for node in nodes]


def chance(labels: np.ndarray) -> float:
    """The accuracy that answers which ignore the images may reach on these labels, [n].

    It is that of the commonest label, with two standard errors.
    """
    share = float(np.bincount(labels).max()) / len(labels)
    return share + 2.0 * math.sqrt(share * (1.0 - share) / len(labels))


def _distinct(names: list[str]) -> list[str]:
    """The names of activations, numbered where a layer has several, as pooling layers have."""
    return [
        f"{name}_{names[:i].count(name) + 1}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _stable_share(box: Box) -> np.ndarray:
    """The share of units of each example that do not change sign within the box: [batch]."""
    stable = tf.cast((box.lower >= 0.0) | (box.upper <= 0.0), tf.float32)
    return tf.reduce_mean(tf.reshape(stable, [tf.shape(stable)[0], -1]), axis=1).numpy()
