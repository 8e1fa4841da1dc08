"""Linear bounds with any lower slopes, on any graph, in float64 over explicit matrices.

The dual of Wong 2020 (thesis), eq. 3.8, with nu = -v, on a graph as in its eq. 3.43.
"""

from collections.abc import Callable, Mapping

import numpy as np

from oracles.matrices import Ends, Network, Relu

Slope = Callable[[int, np.ndarray, np.ndarray], np.ndarray]  # (ReLU node, lower, upper) -> slopes


def lower(
    network: Network,
    ends: Mapping[int, Ends],
    rows: np.ndarray,
    slope: Slope,
    start: int | None = None,
) -> np.ndarray:
    """Lower bounds of rows . value, of value `start` (default: the logits): [rows]."""
    start = network.output if start is None else start
    v = [np.zeros((len(rows), size)) for size in network.sizes[: start + 1]]
    v[start], constant = np.array(rows, np.float64), np.zeros(len(rows))
    for i in range(start, 0, -1):
        node = network.nodes[i - 1]
        if isinstance(node, Relu):
            low, high = ends[node.source]
            crossing, face = (low < 0) & (high > 0), parallel(i, low, high)
            below = np.where(crossing, slope(i, low, high), face)
            v[node.source] += np.where(v[i] > 0, below, face) * v[i]
            constant += np.minimum(v[i], 0) @ np.where(crossing, -face * low, 0.0)
        else:
            constant += v[i] @ node.bias
            for k, w in node.parts:
                v[k] += v[i] @ w
    low, high = ends[0]
    return constant + v[0] @ (low + high) / 2 - np.abs(v[0]) @ (high - low) / 2


def bounds_of_layers(network: Network, inputs: Ends, slope: Slope) -> dict[int, Ends]:
    """Bounds of every value: intervals, and what ReLUs read cut by such linear bounds."""
    read = {node.source for node in network.nodes if isinstance(node, Relu)}

    def tighten(i: int, ends: dict[int, Ends]) -> Ends:
        return cut(ends[i], layer(network, ends, i, slope)) if i in read else ends[i]

    return network.intervals(inputs, tighten)


def layer(network: Network, ends: Mapping[int, Ends], i: int, slope: Slope) -> Ends:
    """Bounds of value i from those of the values before."""
    one = np.eye(network.sizes[i])
    return lower(network, ends, one, slope, i), -lower(network, ends, -one, slope, i)


def cut(a: Ends, b: Ends) -> Ends:
    """The part that both intervals share."""
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def parallel(i: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The slope of the triangle's upper face; 1 or 0 where stable."""
    crossing = (low < 0) & (high > 0)
    return np.where(crossing, high / np.where(crossing, high - low, 1.0), low >= 0)


def adaptive(i: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """CROWN's: 1 if the interval reaches further up than down, else 0."""
    return np.where(high > -low, 1.0, 0.0)
