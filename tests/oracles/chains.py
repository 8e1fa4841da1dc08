"""DeepZ and CROWN for chains of dense layers with ReLU, each in the notation of its own paper.

weights: [(W, b), ...] with W [outputs, inputs], in float64; a ReLU between any two.
"""

import keras
import numpy as np

Array = np.ndarray
Weights = list[tuple[Array, Array]]
Ends = list[tuple[Array, Array]]  # lower and upper of each layer's value before its ReLU


def weights_of(model: keras.Model) -> Weights:
    """The weights of a model of dense layers."""
    arrays = [w.astype(np.float64) for w in model.get_weights()]
    return [(w.T, b) for w, b in zip(arrays[::2], arrays[1::2], strict=True)]


def deepz(weights: Weights, lower: Array, upper: Array) -> Ends:
    """Zonotopes a + A e (Singh et al. 2018, theorem 3.1): the box of every layer's."""
    a, generators = (lower + upper) / 2, np.diag((upper - lower) / 2)  # A: [units, symbols]
    ends = []
    for w, b in weights:
        a, generators = w @ a + b, w @ generators
        radius = np.abs(generators).sum(axis=1)
        low, high = a - radius, a + radius
        ends.append((low, high))
        slope = _chord(low, high)
        mu = np.where((low < 0) & (high > 0), -slope * low / 2, 0.0)
        a, generators = slope * a + mu, np.hstack([slope[:, np.newaxis] * generators, np.diag(mu)])
    return ends


def crown(weights: Weights, c: Array, ends: Ends, lower: Array, upper: Array) -> Array:
    """Lower bounds of the rows C f (Zhang et al. 2018, theorem 3.2), lower slopes adaptive."""
    matrix, bias = weights[len(ends)]
    rows, constant = c @ matrix, c @ bias  # C f >= rows @ z + constant
    for (w, b), (low, high) in reversed(list(zip(weights, ends, strict=False))):
        above = _chord(low, high)
        below = np.where((low < 0) & (high > 0), high > -low, above)
        gap = np.where((low < 0) & (high > 0), -above * low, 0.0)
        positive, negative = np.maximum(rows, 0), np.minimum(rows, 0)
        constant = constant + negative @ gap
        rows = positive * below + negative * above
        rows, constant = rows @ w, constant + rows @ b
    return constant + rows @ (lower + upper) / 2 - np.abs(rows) @ (upper - lower) / 2


def crown_bounds(weights: Weights, lower: Array, upper: Array) -> Ends:
    """Bounds of every layer before its ReLU, each by CROWN over those before it."""
    ends: Ends = []
    for _, b in weights:
        one = np.eye(len(b))
        low, minus_high = (crown(weights, c, ends, lower, upper) for c in (one, -one))
        ends.append((low, -minus_high))
    return ends


def _chord(low: Array, high: Array) -> Array:
    """The slope of the line through (low, relu(low)) and (high, relu(high))."""
    return (np.maximum(high, 0) - np.maximum(low, 0)) / (high - low)
