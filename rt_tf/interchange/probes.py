"""Inputs from all of a domain, on which a network is compared with the file it was made of."""

import numpy as np

from rt_tf.domain import Domain, Given

Shape = tuple[int, ...]


def uniform(domain: Given, shape: Shape, count: int, seed: int = 0) -> np.ndarray:
    """Random inputs of a shape from a bounded domain: float32 [count, *shape]."""
    lower, upper = _ends(domain)
    share = np.random.default_rng(seed).random((count, *shape))
    return np.clip((lower + share * (upper - lower)).astype(np.float32), lower, upper)


def extreme(domain: Given, shape: Shape, count: int, seed: int = 0) -> np.ndarray:
    """Inputs with every number at an end: the lower, the upper, then random: [count, *shape]."""
    lower, upper = _ends(domain)
    at_upper = np.random.default_rng(seed).integers(2, size=(count, *shape)).astype(bool)
    at_upper[0], at_upper[1:2] = False, True
    return np.where(at_upper, upper, lower)


def bounded(domain: Given, inputs: np.ndarray) -> Domain:
    """The domain, with ends for features without any, up to twice the range of inputs [n, ...]."""
    domain = Domain.of(domain)
    if domain.is_bounded:
        return domain
    least, most = inputs.min(axis=0).astype(np.float64), inputs.max(axis=0).astype(np.float64)
    lower = np.where(np.isfinite(domain.lower), domain.lower, least - (most - least) / 2)
    upper = np.where(np.isfinite(domain.upper), domain.upper, most + (most - least) / 2)
    return Domain(lower, np.maximum(lower, upper))


def _ends(domain: Given) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a domain as float32, exactly."""
    domain = Domain.of(domain)
    return np.asarray(domain.lower, np.float32), np.asarray(domain.upper, np.float32)
