"""Which unstable units of a program get a binary, so that their ReLUs are exact."""

from collections.abc import Callable, Collection

import numpy as np

from rt_tf.certification.solver.programs import Program
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine

Choice = Callable[[Program], np.ndarray]  # bool [units]


def every_unit(program: Program) -> np.ndarray:
    """All of them."""
    return np.ones(len(program.units), bool)


def last_units(graph: Graph) -> Choice:
    """Those of the activations that no activation follows."""
    activations = graph.activations()
    followed = {i for k in activations for i in graph.ancestors(k) - {k}}
    return lambda program: _of_nodes(program, set(activations) - followed)


def after_convolutions(graph: Graph, most: int) -> Choice:
    """Those of the first activation after the last convolution; at most so many, by largest area.

    UserError where there is none.
    """
    last = max((i for i, node in graph.numbered() if _is_convolution(node.op)), default=None)
    after = [i for i in graph.activations() if last in graph.ancestors(i)]
    if not after:
        raise UserError(
            "milp_conv: expected a network with an activation after a convolution; received one "
            "without; milp_last and milp are for any network"
        )

    def choice(program: Program) -> np.ndarray:
        own = _of_nodes(program, {min(after)})
        areas = np.where(own, -program.lower * program.upper, -1.0)
        chosen = np.argsort(-areas, kind="stable")[: min(most, np.count_nonzero(own))]
        return np.isin(np.arange(len(own)), chosen)

    return choice


def _of_nodes(program: Program, nodes: Collection[int]) -> np.ndarray:
    return np.isin(program.units[:, 0], list(nodes))


def _is_convolution(op: object) -> bool:
    return isinstance(op, Affine) and op.kernel.shape.rank == 4
