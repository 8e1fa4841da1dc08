"""A network as affine functions of its input and of the values after its unstable ReLUs.

Stable ReLUs are replaced by what they are: 1 or 0 times their input.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from oracles.matrices import Ends, Linear, Network, Relu


class Form(NamedTuple):
    """An affine function of the variables: matrix @ variables + constant."""

    matrix: sp.csr_array
    constant: np.ndarray


class Unstable(NamedTuple):
    """All unstable ReLUs, one after another: their inputs and outputs as forms, and l, u.

    places: by number of the ReLU node, which of its units these are.
    """

    before: Form
    after: Form
    lower: np.ndarray
    upper: np.ndarray
    places: dict[int, np.ndarray]


def substitute(network: Network, ends: Mapping[int, Ends]) -> tuple[Form, Unstable]:
    """The logits as a form, and the unstable ReLUs; ends: of the input and of what ReLUs read."""
    places = {
        i: np.flatnonzero(_spans_zero(*ends[node.source]))
        for i, node in enumerate(network.nodes, 1)
        if isinstance(node, Relu)
    }
    used = network.sizes[0]
    width = used + sum(map(len, places.values()))
    forms, before, after = [_input(used, width)], [], []
    for i, node in enumerate(network.nodes, 1):
        if isinstance(node, Linear):
            forms.append(_combination(node, forms, width))
            continue
        source, units = forms[node.source], places[i]
        new = _new_variables(units, network.sizes[i], used, width)
        before.append(Form(source.matrix[units], source.constant[units]))
        after.append(Form(new[units], np.zeros(len(units))))
        forms.append(_after_relu(source, ends[node.source][0] >= 0.0, new))
        used += len(units)
    sides = (_picked(network, ends, places, side) for side in (0, 1))
    return forms[network.output], Unstable(
        _stacked(before, width), _stacked(after, width), *sides, places
    )


def _spans_zero(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return (lower < 0.0) & (upper > 0.0)


def _input(inputs: int, width: int) -> Form:
    return Form(sp.csr_array(sp.eye_array(inputs, width)), np.zeros(inputs))


def _combination(node: Linear, forms: list[Form], width: int) -> Form:
    matrix = sum(
        (w @ forms[k].matrix for k, w in node.parts), sp.csr_array((len(node.bias), width))
    )
    return Form(matrix, sum((w @ forms[k].constant for k, w in node.parts), node.bias))


def _new_variables(units: np.ndarray, size: int, used: int, width: int) -> sp.csr_array:
    """Rows that pick a variable of its own for each of the given units, zero for the others."""
    ones = (np.ones(len(units)), (units, used + np.arange(len(units))))
    return sp.csr_array(ones, shape=(size, width))


def _after_relu(source: Form, active: np.ndarray, new: sp.csr_array) -> Form:
    kept = sp.diags_array(active.astype(np.float64))
    return Form(sp.csr_array(kept @ source.matrix + new), kept @ source.constant)


def _stacked(forms: list[Form], width: int) -> Form:
    matrices = [sp.csr_array((0, width)), *(form.matrix for form in forms)]
    constants = [np.zeros(0), *(form.constant for form in forms)]
    return Form(sp.csr_array(sp.vstack(matrices)), np.concatenate(constants))


def _picked(
    network: Network, ends: Mapping[int, Ends], places: dict[int, np.ndarray], side: int
) -> np.ndarray:
    """Lower (0) or upper (1) bounds of what the unstable ReLUs read, one after another."""
    sources = {i: network.nodes[i - 1].source for i in places}
    picked = [ends[sources[i]][side][units] for i, units in places.items()]
    return np.concatenate([np.zeros(0), *picked])
