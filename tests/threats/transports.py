"""Exact optimal transport of small images by linear programs, for any pixels and any move."""

import numpy as np
from scipy.optimize import linprog


def images(count=6, shape=(4, 4, 1), seed=0):
    """Random images in steps of 1/256, a third of their pixels black and some of them full."""
    x = np.random.default_rng(seed).random((count, *shape), np.float32) * 1.7 - 0.55
    x[:, 0, 0] = 1.0
    return np.round(256.0 * x.clip(0.0, 1.0)) / np.float32(256.0)


def costs(shape, p=1.0):
    """|offset|^p of all pairs of pixels; infinite between channels."""
    height, width, channels = shape
    places = np.stack(np.mgrid[:height, :width, :channels], axis=-1).reshape(-1, 3)
    offsets = places[:, np.newaxis] - places
    cost = np.linalg.norm(offsets[..., :2], axis=-1) ** p
    return np.where(offsets[..., 2] == 0, cost, np.inf)


def _plans(x, p):
    """The cost, sums by source and sums by aim of plans, as vectors over all possible moves."""
    cost, n = costs(x.shape, p), x.size
    source, aim = np.nonzero((x.ravel() > 0.0)[:, np.newaxis] & np.isfinite(cost))
    return cost[source, aim], np.eye(n)[:, source], np.eye(n)[:, aim]


def distance(x, z, p=1.0):
    """min <P, C> from x to z, whose channels are scaled to the sums of x; x adds up to one."""
    x, z = (np.asarray(t, np.float64) for t in (x, z))
    z = z * (x.sum(axis=(0, 1)) / np.maximum(z.sum(axis=(0, 1)), 1e-300))
    cost, rows, columns = _plans(x, p)
    # In thousandths and with a little room, for the solver's digits are absolute.
    source, aim = (1e3 * t.ravel() / x.sum() for t in (x, z))
    optimum = linprog(cost, A_eq=rows, b_eq=source, A_ub=columns, b_ub=aim + 1e-5)
    assert optimum.status == 0, optimum.message
    return 1e-3 * optimum.fun


def least(x, coefficients, eps, p=1.0, ceiling=np.inf):
    """min <coefficients, z> over z <= ceiling that x, of sum one, leads to at a cost of eps."""
    cost, rows, columns = _plans(x, p)
    optimum = linprog(
        coefficients.ravel() @ columns,
        A_eq=rows,
        b_eq=x.ravel(),
        A_ub=np.concatenate([columns, cost[np.newaxis]]),
        b_ub=np.append(np.full(x.size, min(ceiling, 2.0)), eps),
    )
    assert optimum.status == 0, optimum.message
    return optimum.fun
