"""Choices of the unstable units of a program that get a binary, so that their ReLUs are exact."""

from collections.abc import Callable, Collection

import numpy as np

from rt_tf.certification.solver.programs import Program
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine

Choice = Callable[[Program], np.ndarray]  # bool [units]


def every_unit(program: Program) -> np.ndarray:
    """The choice of all units: bool [units]."""
    return np.ones(len(program.units), bool)


def last_units(graph: Graph) -> Choice:
    """The choice of the units of those activations that no activation follows."""
    activations = graph.activations()
    followed = {i for k in activations for i in graph.ancestors(k) - {k}}
    return lambda program: _of_nodes(program, set(activations) - followed)


def after_convolutions(graph: Graph, most: int) -> Choice:
    """The choice of units of the first activation after the last convolution.

    most: how many units at most, those of the largest area. UserError for a network without an
    activation after a convolution.
    """
    last = max((i for i, node in graph.numbered() if _is_convolution(node.op)), default=None)
    after = [i for i in graph.activations() if last in graph.ancestors(i)]
    if not after:
        raise UserError(
            "milp_conv: expected a network with an activation after a convolution; received one "
            "without; milp_last and milp are for any network"
        )

    def choice(program: Program) -> np.ndarray:
        eligible = _of_nodes(program, {min(after)})
        areas = np.where(eligible, -program.lower * program.upper, -1.0)
        chosen = np.argsort(-areas, kind="stable")[: min(most, np.count_nonzero(eligible))]
        return np.isin(np.arange(len(eligible)), chosen)

    return choice


def _of_nodes(program: Program, nodes: Collection[int]) -> np.ndarray:
    return np.isin(program.units[:, 0], list(nodes))


def _is_convolution(op: object) -> bool:
    return isinstance(op, Affine) and op.kernel.shape.rank == 4
