"""Cascades of classifiers of points in the plane: small enough to look everywhere."""

import functools
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from rt_tf import layers, models
from rt_tf.serving import endpoints
from rt_tf.threats.linf import Linf

EPS = 0.03
SIDE = 101  # of the grid of points, three of them within EPS


def member(seed: int) -> keras.Model:
    """A classifier of points in the plane into three classes, with curved borders."""
    keras.utils.set_random_seed(seed)
    point = keras.Input((1, 2, 1))
    x = layers.Flatten()(point)
    for units in (16, 16):
        normal = keras.initializers.RandomNormal(stddev=0.6)
        offset = keras.initializers.RandomUniform(-0.5, 0.5)
        x = layers.Dense(units, kernel_initializer=normal, bias_initializer=offset)(x)
        x = layers.ReLU()(x)
    network = keras.Model(point, layers.Dense(3)(x))
    network.layers[-1].bias.assign(-tf.reduce_mean(network(grid()), axis=0))
    return network


def grid() -> np.ndarray:
    ends = np.linspace(0.0, 1.0, SIDE, dtype=np.float32)
    return np.stack(np.meshgrid(ends, ends, indexing="ij"), axis=-1).reshape(-1, 1, 2, 1)


@functools.cache
def answered(seed: int, count: int = 3, agree: bool = True) -> np.ndarray:
    """A cascade's answers on the grid by member counts, -1 where it abstains: [SIDE, SIDE]."""
    networks = [member(10 * seed + k) for k in range(count)]
    return answers(networks, grid(), agree).reshape(SIDE, SIDE)


def answers(networks: Sequence[keras.Model], points: np.ndarray, agree: bool = True) -> np.ndarray:
    """The answers of a cascade at points, -1 where it abstains: [batch].

    agree: the library's rule; else the first member that certifies answers with its own label.
    """
    labels = np.full(len(points), -1)
    for network in [models.cascade(networks)] if agree else networks:
        member_labels, certified = certificates(network, points)
        labels = np.where(certified & (labels < 0), member_labels, labels)
    return labels


def certificates(network: keras.Model, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels, and which of them are certified: each [batch].

    Eagerly: to compile it takes longer.
    """
    certify = endpoints.endpoints(network, Linf())["certify"].compute
    tf.config.run_functions_eagerly(True)
    try:
        served = certify(tf.constant(points), tf.constant(EPS))
    finally:
        tf.config.run_functions_eagerly(False)
    return served["label"].numpy(), served["certified"].numpy()


def neighbours(labels: np.ndarray) -> Iterator[np.ndarray]:
    """The labels of a grid's points, shifted to each within EPS; -1 beyond the grid."""
    reach = round(EPS * (SIDE - 1))
    wide = np.pad(labels, reach, constant_values=-1)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            yield wide[down : down + SIDE, across : across + SIDE]
