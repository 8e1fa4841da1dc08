"""Products, sums and constants among the nodes of a network, found by the names of values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rt_tf.interchange.nodes.call import Operand
from rt_tf.interchange.optional import needed

COUNTS = {  # operands that nodes have; others than these are not understood
    **dict.fromkeys(("Add", "Div", "Greater", "Mul", "Pow", "Sub"), 2),
    **dict.fromkeys(("Abs", "Erf", "HardSigmoid", "Log", "Neg", "Reciprocal"), 1),
    **dict.fromkeys(("Sigmoid", "Softplus", "Sqrt", "Tanh"), 1),
    "Where": 3,
}
MOST_FACTORS = 5
CLOSE = 1e-5  # of constants, relatively


class Factors(NamedTuple):
    """A product: a constant, and the names of the values it is multiplied with."""

    constant: float
    names: tuple[str, ...]


class Finder:
    """Finds known functions among nodes and their constants of one number."""

    def __init__(self, nodes: Sequence[Any], weights: Mapping[str, Operand]) -> None:
        self.makers = {
            name: node
            for node in nodes
            for name in node.output
            if len(node.input) == COUNTS.get(node.op_type, len(node.input))
        }
        self.weights = {*weights}
        self.constants = {
            name: float(np.ravel(array)[0])
            for name, array in [*weights.items(), *_constants(nodes)]
            if isinstance(array, np.ndarray) and array.size == 1 and array.dtype.kind == "f"
        }
        self.products: dict[str, Factors] = {}

    def factors(self, name: str) -> Factors:
        """A value as a product of a constant and of values that are no products with constants."""
        if name not in self.products:
            self.products[name] = Factors(1.0, (name,))  # should a value be made of itself
            self.products[name] = self._factors(name)
        return self.products[name]

    def _factors(self, name: str) -> Factors:
        node = self.makers.get(name)
        if name in self.constants:
            return Factors(self.constants[name], ())
        if node is None or node.op_type not in ("Mul", "Div", "Neg"):
            return Factors(1.0, (name,))
        parts = [self.factors(each) for each in node.input]
        last = parts[-1]
        if node.op_type == "Neg":
            return last._replace(constant=-last.constant)
        if node.op_type == "Div":
            if last.names or last.constant == 0.0:
                return Factors(1.0, (name,))
            parts[-1] = Factors(1.0 / last.constant, ())
        names = (*parts[0].names, *parts[1].names)
        if len(names) > MOST_FACTORS:
            return Factors(1.0, (name,))
        return Factors(parts[0].constant * parts[1].constant, names)

    def plus_constant(self, node: Any, constant: float) -> str | None:
        """The name of the value to which a node adds a constant, if it does."""
        if node is None or node.op_type != "Add":
            return None
        for value, other in (node.input, reversed(node.input)):
            if is_close(self.constants.get(other), constant):
                return value
        return None

    def maker(self, name: str, op: str) -> Any:
        """The node that makes a value, if it is of an operation."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == op else None


def _constants(nodes: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    numpy_helper = needed("onnx.numpy_helper")
    for node in nodes:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield node.output[0], numpy_helper.to_array(attribute.t)
                elif attribute.name == "value_float":
                    yield node.output[0], np.array(attribute.f, np.float32)


def is_close(number: float | None, other: float) -> bool:
    """Whether a number is there and equals another up to rounding."""
    return number is not None and math.isclose(number, other, rel_tol=CLOSE)


def without(names: Sequence[str], name: str) -> str:
    """The name, of two, that is not the given one."""
    first, second = names
    return second if first == name else first
