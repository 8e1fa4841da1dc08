"""Minima over a network's convex relaxation (linear program) and over the network itself (MILP).

Ehlers' triangle of an unstable ReLU z = relu(zhat), with bounds l < 0 < u of zhat: z >= 0,
z >= zhat, z <= u (zhat - l) / (u - l). Source: Wong 2020 (thesis), eq. 3.5-3.6; for the program
with binaries, Tjeng et al. 2019, eq. 3-7.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from oracles.matrices import Ends, Network
from oracles.sampling import linf_box
from oracles.substitution import substitute
from rt_tf.bounds.result import Box
from rt_tf.threats.region import Region


class Minimum(NamedTuple):
    """The value, the input that attains it, and, if an LP, Wong's alpha of every unstable unit."""

    value: float
    x: np.ndarray
    slopes: dict[int, np.ndarray]


class Relaxation:
    """A network on a box of inputs, with bounds of what each ReLU reads."""

    def __init__(self, network: Network, ends: Mapping[int, Ends]) -> None:
        self.inputs = ends[0]
        self.logits, self.unstable = substitute(network, ends)

    def minimum(self, row: np.ndarray) -> Minimum:
        """min row . f over the triangles, by interior point."""
        before, after, lower, upper, places = self.unstable
        slope = upper / (upper - lower)
        above = before.matrix - after.matrix  # zhat - z <= 0
        below = after.matrix - slope[:, np.newaxis] * before.matrix  # z - s zhat <= -s l
        solved = linprog(
            self.logits.matrix.T @ row,
            A_ub=sp.vstack([above, below]),
            b_ub=np.concatenate([-before.constant, slope * (before.constant - lower)]),
            bounds=self._ranges(),
            method="highs-ipm",
        )
        _check(solved)
        to_line = -solved.ineqlin.marginals[: len(slope)]  # tau of eq. 3.10
        to_zero = solved.lower.marginals[len(self.inputs[0]) :]  # mu
        total = to_line + to_zero
        alpha = np.where(total > 0.0, to_line / np.where(total > 0.0, total, 1.0), slope)
        value = solved.fun + row @ self.logits.constant
        return Minimum(value, solved.x[: len(self.inputs[0])], _by_node(alpha, places))

    def exact(self, row: np.ndarray) -> Minimum:
        """min row . f over the network, a binary for every unstable ReLU."""
        count, width = self.unstable.after.matrix.shape
        ranges = np.array([*self._ranges(), *[(0.0, 1.0)] * count], np.float64)
        solved = milp(
            np.concatenate([self.logits.matrix.T @ row, np.zeros(count)]),
            integrality=np.repeat([0, 1], [width, count]),
            bounds=Bounds(ranges[:, 0], np.nan_to_num(ranges[:, 1], nan=np.inf)),
            constraints=self._cases() if count else [],
            options={"mip_rel_gap": 0.0},
        )
        _check(solved)
        value = solved.fun + row @ self.logits.constant
        return Minimum(value, solved.x[: len(self.inputs[0])], {})

    def _cases(self) -> list[LinearConstraint]:
        """z >= zhat; z <= zhat - l (1 - a) and z <= u a, a binary: the ReLU is active."""
        before, after, lower, upper, _ = self.unstable
        none = sp.csr_array((len(lower), len(lower)))
        rows = [
            sp.hstack([before.matrix - after.matrix, none]),
            sp.hstack([after.matrix - before.matrix, -sp.diags_array(lower)]),
            sp.hstack([after.matrix, -sp.diags_array(upper)]),
        ]
        sides = [-before.constant, before.constant - lower, np.zeros(len(lower))]
        return [
            LinearConstraint(sp.csr_array(matrix), -np.inf, side)
            for matrix, side in zip(rows, sides, strict=True)
        ]

    def _ranges(self) -> list[tuple]:
        free = len(self.unstable.lower)
        return [*zip(*(end.tolist() for end in self.inputs), strict=True), *[(0.0, None)] * free]


def triangle_minima(
    network: Network, region: Region, spec: tf.Tensor, boxes: dict[int, Box]
) -> list[list[Minimum]]:
    """The linear programs of an Linf region for given bounds of what ReLUs read: [batch][spec]."""
    relaxations = [Relaxation(network, ends) for ends in ends_of(region, boxes)]
    rows = spec.numpy().astype(np.float64)
    return [[r.minimum(row) for row in rows[i]] for i, r in enumerate(relaxations)]


def ends_of(region: Region, boxes: dict[int, Box]) -> list[dict[int, Ends]]:
    """Every example's bounds by node, flat, in float64; of the input by the oracle's own box."""
    inputs = linf_box(region.x.numpy(), np.asarray(region.eps), region.lower, region.upper)
    return [
        {i: _example(box, example) for i, box in boxes.items()} | {0: tuple(inputs[example])}
        for example in range(len(inputs))
    ]


def _example(box: Box, example: int) -> Ends:
    lower, upper = (end.numpy()[example].astype(np.float64).ravel() for end in box)
    return lower, upper


def _by_node(values: np.ndarray, places: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    cuts = np.cumsum([len(units) for units in places.values()])[:-1]
    return dict(zip(places, np.split(values, cuts)[: len(places)], strict=True))


def _check(solved) -> None:
    if solved.status != 0:
        raise RuntimeError(f"HiGHS: {solved.message}")
