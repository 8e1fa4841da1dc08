"""Pairs of values of which a network chooses the larger or the smaller, as b + relu(a - b).

Intervals lose that a and b are the same values twice; of a maximum they know the ends. A pair is
recognised by what its operations compute, never by what a file says of it.
"""

from typing import NamedTuple

import numpy as np

from rt_tf.checker.moving import Add, Difference, Sum
from rt_tf.checker.network import Network
from rt_tf.checker.operations import Operation, Relu, Scale

Part = tuple[int, np.ndarray]  # a node, and the units of it that outputs take: [outputs]


class Choice(NamedTuple):
    """The outputs of a node that are the larger, or the smaller, of two values.

    units: of the node, [outputs]. pair: the two values. rounded: the nodes whose rounding is in the
    output besides its own.
    """

    units: np.ndarray
    pair: tuple[Part, Part]
    rounded: tuple[Part, ...]
    largest: bool


def choice(network: Network, i: int) -> Choice | None:
    """The choice that node i makes, if it makes one."""
    op = _op(network, i)
    if isinstance(op, Sum) and len(_inputs(network, i)) == 2:
        return _of_places(network, op, *_inputs(network, i))
    if isinstance(op, Add) and op.divisor == 1 and len(_inputs(network, i)) == 2:
        base, other = _inputs(network, i)
        return _elementwise(network, i, base, other)
    return None


def _of_places(network: Network, op: Sum, base: int, excess: int) -> Choice | None:
    """The choice of x[p] + relu(x[q] - x[p])."""
    less = _rectified(network, excess)
    taken = _op(network, less)
    units = np.flatnonzero((op.index >= 0).all(axis=0))
    if not isinstance(taken, Difference) or _inputs(network, less) != (base,) or not len(units):
        return None
    first, raised = op.index[0][units], op.index[1][units]
    if not np.array_equal(taken.index[1][raised], first):
        return None
    pair = (base, first), (base, taken.index[0][raised])
    return Choice(units, pair, ((less, raised), (excess, raised)), largest=True)


def _elementwise(network: Network, i: int, base: int, other: int) -> Choice | None:
    """The choice of b + relu(a - b), or of a - relu(a - b)."""
    negated = _negated(network, other)
    excess = other if negated is None else negated
    difference = _rectified(network, excess)
    values = _subtracted(network, difference)
    if values is None or values[negated is None] != base:
        return None
    units = np.arange(network.size(i))
    minus = _inputs(network, difference)[1]
    rounded = tuple((k, units) for k in {minus, difference, excess, other})
    first, second = ((value, units) for value in values)
    return Choice(units, (first, second), rounded, largest=negated is None)


def _op(network: Network, i: int) -> Operation | None:
    """The operation of a node; None of the input."""
    return network.nodes[i - 1].op if i else None


def _inputs(network: Network, i: int) -> tuple[int, ...]:
    return network.nodes[i - 1].inputs if i else ()


def _rectified(network: Network, i: int) -> int:
    """The node of which node i is the ReLU; 0, the input, if it is none."""
    op = _op(network, i)
    return _inputs(network, i)[0] if isinstance(op, Relu) and op.slope == 0.0 else 0


def _subtracted(network: Network, i: int) -> tuple[int, int] | None:
    """The nodes a and b of which node i is a - b."""
    op = _op(network, i)
    if not isinstance(op, Add) or op.divisor != 1 or len(_inputs(network, i)) != 2:
        return None
    first, second = _inputs(network, i)
    negated = _negated(network, second)
    return None if negated is None else (first, negated)


def _negated(network: Network, i: int) -> int | None:
    """The node of which node i is the negative."""
    op = _op(network, i)
    minus = isinstance(op, Scale) and bool((op.kernel == -1.0).all()) and not op.bias.any()
    return _inputs(network, i)[0] if minus else None
