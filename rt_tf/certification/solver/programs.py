"""A ReLU network on a box of inputs as a linear program, or with binaries as a mixed-integer one.

An unstable ReLU reads zhat in [l, u], l < 0 < u, and is written as z - p = zhat with z, p >= 0: its
positive and its negative part. Ehlers' triangle is z / u + p / -l <= 1, and with a binary a, which
says that the unit is active, z <= u a and p <= -l (1 - a) are the ReLU itself. Stable units are
substituted. Sources: Ehlers 2017; Wong 2020 (thesis), eq. 3.5; Tjeng et al. 2019, eq. 3-7.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from rt_tf.certification.solver.matrices import Linear
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation

Ends = tuple[np.ndarray, np.ndarray]  # lower, upper: each [units]


class Form(NamedTuple):
    """An affine function of the inputs and of z: matrix @ (x, z) + constant."""

    matrix: sp.csr_array
    constant: np.ndarray


class Model(NamedTuple):
    """Rows lower <= matrix @ v <= upper over variables in [least, most], some of them binary."""

    matrix: sp.csr_array
    lower: np.ndarray
    upper: np.ndarray
    least: np.ndarray
    most: np.ndarray
    binary: np.ndarray


class Program(NamedTuple):
    """A network's unstable units, one after another in topological order, on a box of inputs.

    units: int64 [units, 2], (activation node, flat unit). before: the affine functions that the
    units read; lower, upper: their bounds, float64 [units]. inputs: the box of the inputs, each
    [pixels]. logits: the network's outputs.
    """

    units: np.ndarray
    before: Form
    lower: np.ndarray
    upper: np.ndarray
    inputs: Ends
    logits: Form

    def model(self, binary: np.ndarray | None = None) -> Model:
        """The program's rows, over the variables x, z, p, and a for units with a binary.

        binary: bool [units], which units have a binary; None: no unit has.
        """
        count, pixels = len(self.units), len(self.inputs[0])
        chosen = np.flatnonzero(np.zeros(count, bool) if binary is None else binary)
        others = np.setdiff1d(np.arange(count), chosen)
        blocks = [self._equations(), self._triangles(others), *self._cases(chosen)]
        matrices, lower, upper = zip(*blocks, strict=True)
        width = pixels + 2 * count + len(chosen)
        return Model(
            sp.csr_array(sp.vstack([_widened(matrix, width) for matrix in matrices])),
            np.concatenate(lower),
            np.concatenate(upper),
            np.concatenate([self.inputs[0], np.zeros(width - pixels)]),
            np.concatenate([self.inputs[1], np.full(2 * count, np.inf), np.ones(len(chosen))]),
            np.arange(width) >= pixels + 2 * count,
        )

    def objective(self, row: np.ndarray) -> tuple[np.ndarray, float]:
        """The costs of x and z, and the constant, of row . logits; row: [classes]."""
        return self.logits.matrix.T @ row, float(self.logits.constant @ row)

    def assignment(self, x: np.ndarray, binary: np.ndarray | None = None) -> np.ndarray:
        """The values of all variables of `model(binary)` at an input x [pixels]."""
        pixels, count = len(x), len(self.units)
        values, read = np.concatenate([x, np.zeros(count)]), np.zeros(count)
        for node in np.unique(self.units[:, 0]):
            here = np.flatnonzero(self.units[:, 0] == node)
            read[here] = self.before.matrix[here] @ values + self.before.constant[here]
            values[pixels + here] = np.maximum(read[here], 0.0)
        active = (read > 0.0)[np.zeros(count, bool) if binary is None else binary]
        return np.concatenate([values, np.maximum(-read, 0.0), active.astype(np.float64)])

    def faces(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The triangles' upper faces, q z + r p <= size: size, q <= 1 and r <= 1, each [units]."""
        size = np.minimum(self.upper, -self.lower)
        return size, size / self.upper, size / -self.lower

    def _equations(self) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
        count, pixels = len(self.units), len(self.inputs[0])
        one = sp.eye_array(count)
        units = sp.hstack([sp.csr_array((count, pixels)), one])
        matrix = sp.csr_array(sp.hstack([units - self.before.matrix, -one]))
        return matrix, self.before.constant, self.before.constant

    def _triangles(self, which: np.ndarray) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
        size, z, p = (values[which] for values in self.faces())
        return self._rows(which, z, p), np.full(len(which), -np.inf), size

    def _cases(self, which: np.ndarray) -> list[tuple[sp.csr_array, np.ndarray, np.ndarray]]:
        """The rows of units with a binary: z - u a <= 0 and p - l a <= -l."""
        ones, zeros = np.ones(len(which)), np.zeros(len(which))
        positive = sp.hstack([self._rows(which, ones, zeros), -sp.diags_array(self.upper[which])])
        negative = sp.hstack([self._rows(which, zeros, ones), -sp.diags_array(self.lower[which])])
        free = np.full(len(which), -np.inf)
        return [(positive, free, zeros), (negative, free, -self.lower[which])]

    def _rows(self, which: np.ndarray, z: np.ndarray, p: np.ndarray) -> sp.csr_array:
        """A row for each of the units `which`, with its coefficients of z and p, each [which]."""
        pixels, count, rows = len(self.inputs[0]), len(self.units), np.arange(len(which))
        columns = np.concatenate([pixels + which, pixels + count + which])
        places = np.concatenate([rows, rows]), columns
        shape = len(which), pixels + 2 * count
        return sp.csr_array((np.concatenate([z, p]), places), shape=shape)


def program(
    graph: Graph,
    linear: Mapping[int, Linear],
    negative_slopes: Mapping[int, float],
    ends: Mapping[int, Ends],
) -> Program:
    """The program of one example.

    linear: the affine nodes' matrices. negative_slopes: by activation. ends: the boxes of the input
    (0) and of the nodes that activations read, flat.
    """
    unstable = {i: _spans_zero(*ends[graph.nodes[i - 1].inputs[0]]) for i in negative_slopes}
    pixels, used = len(ends[0][0]), len(ends[0][0])
    width = pixels + sum(map(np.count_nonzero, unstable.values()))
    forms = {0: Form(sp.csr_array(sp.eye_array(pixels, width)), np.zeros(pixels))}
    before: list[Form] = []
    for i, node in graph.numbered():
        if not isinstance(node.op, Activation):
            forms[i] = _combined(linear[i], [forms[k] for k in node.inputs])
            continue
        read, box = forms[node.inputs[0]], ends[node.inputs[0]]
        picked = np.flatnonzero(unstable[i])
        before.append(Form(read.matrix[picked], read.constant[picked]))
        forms[i] = _rectified(read, box, negative_slopes[i], picked, used)
        used += len(picked)
    lower, upper = (_sides(graph, unstable, ends, side) for side in (0, 1))
    units, stacked = _numbers(unstable), _stacked(before, width)
    return Program(units, stacked, lower, upper, ends[0], forms[graph.output])


def _spans_zero(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return (lower < 0.0) & (upper > 0.0)


def _combined(linear: Linear, inputs: list[Form]) -> Form:
    products = [part @ form.matrix for part, form in zip(linear.parts, inputs, strict=True)]
    constant = linear.bias.copy()
    for part, form in zip(linear.parts, inputs, strict=True):
        constant += part @ form.constant
    matrix = products[0]
    for product in products[1:]:
        matrix = matrix + product
    return Form(sp.csr_array(matrix), constant)


def _rectified(read: Form, box: Ends, slope: float, picked: np.ndarray, used: int) -> Form:
    """slope * read + (1 - slope) * relu(read), with variables from `used` on for picked units."""
    shares = np.where(box[0] >= 0.0, 1.0, slope)  # of the form itself in the result
    ones = np.full(len(picked), 1.0 - slope), (picked, used + np.arange(len(picked)))
    rectified = sp.csr_array(ones, shape=read.matrix.shape)
    matrix = sp.csr_array(sp.diags_array(shares) @ read.matrix + rectified)
    matrix.eliminate_zeros()
    return Form(matrix, shares * read.constant)


def _numbers(unstable: dict[int, np.ndarray]) -> np.ndarray:
    flat = [np.argwhere(mask) for mask in unstable.values()]
    numbered = [np.insert(units, 0, i, axis=1) for i, units in zip(unstable, flat, strict=True)]
    return np.concatenate([np.zeros((0, 2), np.int64), *numbered])


def _sides(
    graph: Graph, unstable: dict[int, np.ndarray], ends: Mapping[int, Ends], side: int
) -> np.ndarray:
    picked = [ends[graph.nodes[i - 1].inputs[0]][side][mask] for i, mask in unstable.items()]
    return np.concatenate([np.zeros(0), *picked])


def _stacked(forms: list[Form], width: int) -> Form:
    matrices = [sp.csr_array((0, width)), *(form.matrix for form in forms)]
    constants = [np.zeros(0), *(form.constant for form in forms)]
    return Form(sp.csr_array(sp.vstack(matrices)), np.concatenate(constants))


def _widened(matrix: sp.csr_array, width: int) -> sp.csr_array:
    wide = sp.csr_array(matrix)
    wide.resize(wide.shape[0], width)
    return wide
