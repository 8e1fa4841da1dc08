"""The cost of CROWN where gates of the whole image multiply its channels, in that without them.

    python -m benchmarks.gates [--rounds=7]

Convolutional networks with random weights, with a squeeze-and-excite gate after every convolution
and without; sound arithmetic, in turns. The passes over windows take the gates as boxes.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Job
from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

CLASSES = 10


class Question(NamedTuple):
    """A network's sizes and the images to bound. strides: of its convolutions, of width 3 or 4."""

    shape: tuple[int, int, int]
    filters: tuple[int, ...]
    strides: tuple[int, ...]
    units: int
    eps: float
    images: int


QUESTIONS = [
    Question((28, 28, 1), (16, 32), (2, 2), 100, 0.01, 8),
    Question((28, 28, 1), (16, 32), (2, 2), 100, 0.03, 32),
    Question((32, 32, 3), (16, 16, 32, 32), (1, 2, 1, 2), 128, 0.002, 4),
]


def network(question: Question, gates: bool) -> keras.Model:
    """A convolutional network, with gates after its convolutions or without."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = start = keras.Input(question.shape)
    for filters, stride in zip(question.filters, question.strides, strict=True):
        width = 3 if stride == 1 else 4
        convolution = layers.Conv2D(filters, width, stride, padding="same", activation="relu")
        x = convolution(x)
        x = gated(x, filters) if gates else x
    x = layers.Dense(question.units, activation="relu")(layers.Flatten()(x))
    return keras.Model(start, layers.Dense(CLASSES)(x))


def gated(x: Any, filters: int) -> Any:
    """Channels times gates from their means (squeeze and excite)."""
    layers = keras.layers
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(filters // 4, activation="relu")(mean)
    return layers.Multiply()([x, layers.Dense(filters, activation="sigmoid")(gate)])


def bound(question: Question, gates: bool) -> Callable[[], Any]:
    """CROWN's margins of random images, compiled."""
    graph, crown = trace(network(question, gates)).lower(), catalogue.resolve("bound", "crown")
    x = np.random.default_rng(0).random((question.images, *question.shape), np.float32)
    spec = margin_spec(tf.zeros([question.images], tf.int32), CLASSES)

    @tf.function(autograph=False)
    def margins(x: tf.Tensor) -> tf.Tensor:
        return crown(graph, Region(Linf(), x, question.eps), spec, arithmetic="sound").margins

    return lambda: margins(tf.constant(x)).numpy()


def main() -> None:
    """Prints the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    table = Table("image", "filters", "images", "eps", "plain ms", "gated ms", "gated / plain")
    for question in QUESTIONS:
        plain, with_gates = (Job(bound(question, gates)) for gates in (False, True))
        for turn in range(2 * rounds):
            (plain, with_gates)[turn % 2].turn()
        table.add_row(
            "x".join(map(str, question.shape)),
            ", ".join(map(str, question.filters)),
            str(question.images),
            f"{question.eps:g}",
            f"{1000.0 * plain.median:.0f}",
            f"{1000.0 * with_gates.median:.0f}",
            f"{with_gates.median / plain.median:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
