"""Bounds of every node by interval arithmetic, and the price of rounding at each."""

import dataclasses
from collections.abc import Callable

import numpy as np

from rt_tf.checker import rounding
from rt_tf.checker.maps import Map
from rt_tf.checker.maxima import choice
from rt_tf.checker.network import Network, Node
from rt_tf.checker.operations import Relu
from rt_tf.checker.region import Region


class UndefinedError(ArithmeticError):
    """A number on the way is infinite, not a number, or beyond what float32 can sum."""


@dataclasses.dataclass
class Enclosure:
    """The ends of the values that the served network computes of one example, by node: [units].

    prices: by node, [units], the price of a unit of coefficient for the rounding of its value,
    in the served network and in a backward pass through it; none where values are moved alone.
    """

    lower: dict[int, np.ndarray]
    upper: dict[int, np.ndarray]
    prices: dict[int, np.ndarray]

    def size(self, i: int) -> np.ndarray:
        """Upper bounds of the absolute values of a node: [units]."""
        return np.maximum(np.abs(self.lower[i]), np.abs(self.upper[i]))

    def forget(self, i: int) -> None:
        """Leaves a node without ends, until it is cut."""
        self.lower[i] = np.full_like(self.lower[i], -np.inf)
        self.upper[i] = np.full_like(self.upper[i], np.inf)

    def cut(self, i: int, units: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Keeps the better ends of some units; UndefinedError if they cross.

        units: the units' numbers, [some]. lower, upper: further ends of these units, [some].
        """
        self.lower[i][units] = np.fmax(self.lower[i][units], lower)
        self.upper[i][units] = np.fmin(self.upper[i][units], upper)
        if not (self.lower[i] <= self.upper[i]).all():
            raise UndefinedError(f"node {i}: its lower bounds are above its upper ones")


def enclose(
    network: Network, region: Region, tighten: Callable[[int, Enclosure], None]
) -> Enclosure:
    """Intervals from the input on. tighten: cuts a node's ends as soon as they exist."""
    found = Enclosure({0: region.lower}, {0: region.upper}, {})
    _refuse_undefined(0, found.size(0))
    for i, node in network.numbered():
        if isinstance(node.op, Relu):
            _relu(found, i, node.inputs[0], node.op)
        else:
            _linear(network, found, i, node, node.op)
            _choose(network, found, i)
        tighten(i, found)
    return found


def _relu(found: Enclosure, i: int, source: int, op: Relu) -> None:
    product = 2.0 * rounding.UNIT * op.slope * found.size(source)  # rounds, here and served
    lower = op.apply(found.lower[source]) - product
    upper = op.apply(found.upper[source]) + product
    # Tiny numbers may be flushed.
    found.lower[i] = np.where(np.abs(lower) < rounding.TINY, np.minimum(lower, 0.0), lower)
    found.upper[i] = np.where(np.abs(upper) < rounding.TINY, np.maximum(upper, 0.0), upper)
    passed = 16.0 * rounding.OWN_UNIT * found.size(source)
    found.prices[i] = passed + product + 4.0 * rounding.TINY


def _linear(network: Network, found: Enclosure, i: int, node: Node, op: Map) -> None:
    def shaped(by_node: Callable[[int], np.ndarray]) -> list[np.ndarray]:
        return [by_node(k).reshape(1, *network.shape(k)) for k in node.inputs]

    lower, upper = shaped(found.lower.__getitem__), shaped(found.upper.__getitem__)
    if op.terms == 0:
        found.lower[i], found.upper[i] = op.apply(lower).ravel(), op.apply(upper).ravel()
        return
    sizes = shaped(found.size)
    summed = np.ravel(op.summed(sizes))
    _refuse_undefined(i, summed)
    price = _price(op, summed, max(float(size.max()) for size in sizes))
    pairs = list(zip(lower, upper, strict=True))
    centre = np.ravel(op.apply([0.5 * (a + b) for a, b in pairs]) + op.bias)
    radius = np.ravel(op.apply([0.5 * (b - a) for a, b in pairs], absolute=True)) + price
    found.lower[i], found.upper[i], found.prices[i] = centre - radius, centre + radius, price


def _choose(network: Network, found: Enclosure, i: int) -> None:
    """Cuts the ends of a node that is the larger, or the smaller, of two others."""
    chosen = choice(network, i)
    if chosen is None:
        return
    (a, first), (b, second) = chosen.pair
    better = np.maximum if chosen.largest else np.minimum
    rounded = found.prices[i][chosen.units]
    for k, units in chosen.rounded:
        rounded = rounded + found.prices[k][units]
    lower = better(found.lower[a][first], found.lower[b][second]) - rounding.SPARE * rounded
    upper = better(found.upper[a][first], found.upper[b][second]) + rounding.SPARE * rounded
    found.cut(i, chosen.units, lower, upper)


def _price(op: Map, summed: np.ndarray, largest: float) -> np.ndarray:
    """The error of the served sums and of the sums here, of values and of coefficients."""
    here = rounding.own(op.terms + op.transposed_terms + summed.size)
    flushed = (op.terms + 1) * rounding.TINY * (1.0 + op.largest + largest)
    return (rounding.gamma(op.terms + 1) * rounding.SPARE + here) * summed + flushed


def _refuse_undefined(i: int, sizes: np.ndarray) -> None:
    if not (sizes <= rounding.LARGEST).all():
        raise UndefinedError(f"node {i}: its values may be beyond what float32 can sum")
