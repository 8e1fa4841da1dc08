"""Points of a box at which a network's margins are small: upper bounds of the true minimum."""

import numpy as np

from oracles.matrices import Network


def linf_box(x: np.ndarray, eps, lower: float = 0.0, upper: float = 1.0) -> list[np.ndarray]:
    """Ends of the pixels that Linf balls reach: x [batch, ...], eps a float32 number, or [batch].

    Returns [2, pixels] for every example, exact to float64.
    """
    x = x.astype(np.float64).reshape(len(x), -1)
    radius = np.float32(eps).astype(np.float64).reshape(-1, 1)
    return list(np.stack([np.maximum(x - radius, lower), np.minimum(x + radius, upper)], axis=1))


def grid(lower: np.ndarray, upper: np.ndarray, count: int) -> np.ndarray:
    """count points on every axis, the ends (so all vertices) among them: [count^n, n]."""
    axes = [np.linspace(*ends, count) for ends in zip(lower, upper, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(lower))


def scattered(lower: np.ndarray, upper: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Random vertices, then uniform points: [2 * count, n]."""
    shares = np.random.default_rng(seed).random((2 * count, len(lower)))
    shares[:count] = shares[:count] > 0.5
    return lower + shares * (upper - lower)


def least(network: Network, row: np.ndarray, x: np.ndarray) -> float:
    """The smallest row . f(x) among points."""
    return float((network(x) @ row).min())


def descend(
    network: Network, row: np.ndarray, lower: np.ndarray, upper: np.ndarray, steps: int = 20
) -> float:
    """The smallest row . f found by projected sign-gradient descent from many points."""
    x = np.concatenate([[0.5 * (lower + upper)], scattered(lower, upper, 8)])
    rows = np.broadcast_to(row, (len(x), len(row)))
    smallest = least(network, row, x)
    for size in np.geomspace(0.5, 0.02, steps):
        stride = size * (upper - lower) * np.sign(network.gradients(x, rows))
        x = np.clip(x - stride, lower, upper)
        smallest = min(smallest, least(network, row, x))
    return smallest
