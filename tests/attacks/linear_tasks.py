"""Tasks on linear classifiers, with their optima by SciPy."""

import numpy as np
import tensorflow as tf
from scipy.optimize import linprog, minimize

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.losses import margin
from rt_tf.attacks.task import Task
from rt_tf.threats.region import Region

THREATS = ("linf", "l2", "l1")
RADII = {"linf": 0.15, "l2": 0.6, "l1": 2.0}  # at which ball and pixel range meet
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}


def region(name, x, eps=None):
    eps = RADII[name] if eps is None else eps
    return Region(catalogue.resolve("threat", name)(), tf.constant(x, tf.float32), eps)


def images(count=3, shape=(3, 4, 1), seed=0):
    """Random images, some of their pixels at the ends of the pixel range."""
    x = np.random.default_rng(seed).random((count, *shape), np.float32) * 1.4 - 0.2
    return x.clip(0.0, 1.0)


def slopes(shape=(3, 4, 1), others=1, seed=1):
    """The slopes of the logits of other classes: [pixels, others]."""
    return np.random.default_rng(seed).standard_normal((int(np.prod(shape)), others))


def task(name, x, w, offset, eps=None, **options):
    """Logits 0 for the right class, 0, and w . x + offset for the others: offset [others]."""
    weights, bias = tf.constant(w, tf.float32), tf.cast(offset, tf.float32)

    def network(z):
        values = tf.reshape(z, [-1, len(w)]) @ weights + bias
        return tf.concat([tf.zeros_like(values[:, :1]), values], axis=1)

    count = len(x)
    keys = noise.keys(tf.constant([3, 4], tf.int64), tf.range(100, 100 + count))
    labels = tf.zeros([count], tf.int32)
    return Task(network, region(name, x, eps), labels, keys, **{"loss": margin, **options})


def size(name, x, image):
    """The norm of each example's move, in float64."""
    moves = np.asarray(x, np.float64) - np.asarray(image, np.float64)
    return np.linalg.norm(moves.reshape(len(moves), -1), ORDERS[name], axis=1)


def greatest(name, w, x, eps):
    """max <w, z> over the region around one image [pixels]."""
    if name == "linf":
        return w @ np.where(w > 0, np.minimum(x + eps, 1), np.maximum(x - eps, 0))
    n = len(x)
    if name == "l1":  # z = x + up - down
        ends = [(0, end) for end in (*(1 - x), *x)]
        return w @ x - linprog([*-w, *w], np.ones((1, 2 * n)), [eps], bounds=ends).fun
    ball = {"type": "ineq", "fun": lambda m: eps**2 - m @ m, "jac": lambda m: -2.0 * m}
    ends = list(zip(-x, 1 - x, strict=True))
    optimum = minimize(lambda m: -w @ m, 0 * x, jac=lambda m: -w, bounds=ends, constraints=ball)
    return w @ x - optimum.fun


def distance(name, w, x, rise):
    """The least norm of a move m within the pixel range with <w, m> = rise; infinite if none."""
    n, ends = len(x), list(zip(-x, 1 - x, strict=True))
    if name == "linf":  # |m| <= t
        sides = np.vstack([np.eye(n), -np.eye(n)])
        optimum = linprog(
            [*np.zeros(n), 1.0],
            np.hstack([sides, -np.ones((2 * n, 1))]),
            np.zeros(2 * n),
            [[*w, 0.0]],
            [rise],
            [*ends, (0, None)],
        )
    elif name == "l1":
        room = [(0, end) for end in (*(1 - x), *x)]
        optimum = linprog(np.ones(2 * n), A_eq=[[*w, *-w]], b_eq=[rise], bounds=room)
    else:
        plane = {"type": "eq", "fun": lambda m: w @ m - rise, "jac": lambda m: w}
        optimum = minimize(
            lambda m: m @ m, 0 * x, jac=lambda m: 2 * m, bounds=ends, constraints=plane
        )
        return np.sqrt(optimum.fun) if optimum.success else np.inf
    return optimum.fun if optimum.success else np.inf
