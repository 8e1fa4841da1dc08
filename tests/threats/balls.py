"""Regions of every threat, and their norms by NumPy and exact fractions."""

import itertools
from fractions import Fraction

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.domain import Domain
from rt_tf.threats.region import Region

RADII = {"linf": 0.25, "l2": 0.5, "l1": 1.25}  # at which eight pixels meet ball and pixel range
AWKWARD = [0.0, 1e-8, 1e-3, 0.1, 8 / 255, 1 / 3, 0.7, 1.0]
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
THREATS = list(ORDERS)
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
WIDE = {"lower": -100.0, "upper": 100.0}


def region(name, x, eps=None, dtype=tf.float32, lower=0.0, upper=1.0):
    """A region of a threat by name, by default of the table's radius."""
    eps = RADII[name] if eps is None else eps
    threat, domain = catalogue.resolve("threat", name)(), Domain(lower, upper)
    return Region(threat, tf.cast(x, dtype), eps, domain)


def size(name, moves):
    """The norm of each example's move, in float64."""
    flat = np.asarray(moves, np.float64).reshape(len(moves), -1)
    return np.linalg.norm(flat, ord=ORDERS[name], axis=1)


def images(count=3, shape=(2, 2, 2), seed=0):
    """Random images in steps of 1/256, some of their pixels at the ends of [0, 1]."""
    x = np.random.default_rng(seed).random((count, *shape), np.float32) * 1.4 - 0.2
    return np.round(256.0 * x.clip(0.0, 1.0)) / np.float32(256.0)


def sample(name, x, eps, count, lower=0.0, upper=1.0, seed=0):
    """Points of the region, many of them at its edge: [count, *x.shape], in float64."""
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((count, *x.shape))
    moves = np.where(rng.random(dense.shape) < rng.random((count, *[1] * x.ndim)), dense, 0.0)
    if name == "linf":
        moves = np.sign(moves)
    flat = moves.reshape(count * len(x), -1)
    norms = np.maximum(np.linalg.norm(flat, ORDERS[name], axis=1), 1e-9).reshape(count, len(x))
    radii = np.broadcast_to(eps, len(x)) * np.where(rng.random((count, len(x))) < 0.5, 1.0, 0.7)
    moves *= (radii / norms).reshape(count, len(x), *[1] * (x.ndim - 1))
    return np.clip(x.astype(np.float64) + moves, lower, upper)


def vertices(name, pixels):
    """Moves of norm one, the extreme ones among them: all of them where there are finitely many."""
    if name == "linf":
        return np.array(list(itertools.product((-1.0, 1.0), repeat=pixels)))
    if name == "l1":
        return np.concatenate([np.eye(pixels), -np.eye(pixels)])
    moves = np.random.default_rng(0).standard_normal((20000, pixels))
    return moves / np.linalg.norm(moves, axis=1, keepdims=True)


def exactly(values):
    """Numbers as fractions, flattened."""
    return [Fraction(float(v)) for v in np.asarray(values).ravel()]


def contains(name, x, z, eps, lower=0.0, upper=1.0):
    """Whether z is in the region around x (one example each), in exact arithmetic."""
    ends = Fraction(lower), Fraction(upper)
    z, eps = exactly(z), Fraction(eps)
    moves = [abs(a - b) for a, b in zip(exactly(x), z, strict=True)]
    near = {
        "linf": max(moves) <= eps,
        "l2": sum(m * m for m in moves) <= eps * eps,
        "l1": sum(moves) <= eps,
    }
    return near[name] and all(ends[0] <= value <= ends[1] for value in z)
