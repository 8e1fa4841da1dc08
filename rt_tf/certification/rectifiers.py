"""Which activations are piecewise linear with one kink, at zero."""

import functools

from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation
from rt_tf.network.relaxations import ACTIVATIONS, relu_lines


def negative_slopes(graph: Graph, rung: str) -> dict[int, float]:
    """The slopes below zero of a network's (leaky) ReLUs, by node; UserError of others."""
    slopes = {}
    for i in graph.activations():
        node = graph.nodes[i - 1]
        assert isinstance(node.op, Activation)
        slope = _negative_slope(node.op)
        if slope is None:
            raise UserError(
                f"{rung}: expected piecewise-linear activations (ReLU, LeakyReLU); received "
                f"{_name(node.op)} in layer '{node.name}'"
            )
        slopes[i] = slope
    return slopes


def _negative_slope(op: Activation) -> float | None:
    if not isinstance(op.relax, functools.partial) or op.relax.func is not relu_lines:
        return None
    return float(op.relax.keywords["negative_slope"])


def _name(op: Activation) -> str:
    return next((name for name, other in ACTIVATIONS.items() if other is op), "another")
