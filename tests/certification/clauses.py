"""Clauses of small ReLU networks, and how deep inputs lie in them: exactly, by linear programs."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import linprog

from rt_tf.interchange.property import Clause
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.box import between
from rt_tf.threats.region import Region

L = keras.layers


def dense_relu(*widths: int, seed: int) -> keras.Model:
    """A network of random weights; widths: of the input, of hidden layers, of the output."""
    rng = np.random.default_rng(seed)
    model = keras.Sequential([L.Input(widths[:1]), *(L.Dense(n, "relu") for n in widths[1:-1])])
    model.add(L.Dense(widths[-1]))
    for layer in model.layers:
        rows, columns = layer.kernel.shape
        kernel = 1.5 * rng.standard_normal((rows, columns)) / np.sqrt(rows)
        layer.set_weights([kernel, 0.3 * rng.standard_normal(columns)])
    return model


def graph_of(model: keras.Model) -> Graph:
    return trace(model, logits=False).lower()


def box(lower: list[float], upper: list[float]) -> Region:
    return between(tf.constant([lower], tf.float32), tf.constant([upper], tf.float32))


def clause(rows: list[list[float]], offsets: list[Fraction | float]) -> Clause:
    return Clause(np.float32(rows), tuple(Fraction(offset) for offset in offsets))


def least_excess(model: keras.Model, region: Region, clause: Clause) -> float:
    """The least over the box of the largest excess of a row over its offset.

    An input is in the clause if it is not above 0. One linear program for each pattern of signs.
    """
    layers = [[w.numpy().astype(float) for w in layer.weights] for layer in model.layers]
    units = sum(len(bias) for _, bias in layers[:-1])
    solved = (_program(layers, signs, region, clause) for signs in _patterns(units))
    return min(result.fun for result in solved if result.status == 0)


def _patterns(units: int) -> Iterator[np.ndarray]:
    return (np.array(signs) for signs in itertools.product((1.0, -1.0), repeat=units))


def _program(layers: list, signs: np.ndarray, region: Region, clause: Clause):
    """Minimises t over (x, t), the network being linear where its units have these signs."""
    inputs = layers[0][0].shape[0]
    matrix, shift, below = np.eye(inputs), np.zeros(inputs), []
    for kernel, bias in layers[:-1]:
        matrix, shift = kernel.T @ matrix, kernel.T @ shift + bias
        layer_signs, signs = signs[: len(bias)], signs[len(bias) :]
        below.append(
            (-layer_signs[:, np.newaxis] * matrix, layer_signs * shift, np.zeros(len(bias)))
        )
        matrix, shift = (layer_signs > 0)[:, np.newaxis] * matrix, (layer_signs > 0) * shift
    kernel, bias = layers[-1]
    matrix, shift = kernel.T @ matrix, kernel.T @ shift + bias
    offsets = np.array([float(offset) for offset in clause.offsets])
    below.append((clause.rows @ matrix, offsets - clause.rows @ shift, -np.ones(len(offsets))))
    left, right, t = (np.concatenate(parts) for parts in zip(*below, strict=True))
    ends = zip(region.lower.numpy()[0], region.upper.numpy()[0], strict=True)
    goal = [*np.zeros(inputs), 1.0]
    return linprog(goal, np.c_[left, t], right, bounds=[*ends, (None, None)])
