"""Nodes that together compute one known function, in one node: its bounds are tighter."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rt_tf.interchange.nodes.call import Operand, depending
from rt_tf.interchange.nodes.finding import Finder, is_close, without
from rt_tf.interchange.nodes.gates import Gate, gate
from rt_tf.interchange.optional import needed

OWN = "rt_tf"  # the domain of functions that ONNX has no name for: LogSigmoid and Rsqrt
LOG_E, DIGITS = math.log2(math.e), 25  # softplus(z) - z is less than 2^-25 from there on


def simplified(
    nodes: Sequence[Any], weights: Mapping[str, Operand], start: str, result: str
) -> list[Any]:
    """The nodes that a result needs, in order, with known functions of the input in one each.

    start, result: the names of the input and of the result.
    """
    finder = Finder(nodes, weights)
    known = {id(node) for node in depending(nodes, start)}
    written = [
        new for node in nodes for new in (_simpler(finder, node) if id(node) in known else [node])
    ]
    needed_names, kept = {result}, []
    for node in reversed(written):
        if needed_names & set(node.output):
            needed_names |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _simpler(finder: Finder, node: Any) -> list[Any]:
    """A node, or those that compute the same in its place."""
    search = SEARCHES.get(node.op_type)
    is_understood = all(name in finder.makers for name in node.output)
    return (search(finder, node) if search and is_understood else None) or [node]


def _choice(finder: Finder, node: Any) -> list[Any] | None:
    """The node of a softplus that is its own argument where that is large.

    No number of float32 differs there.
    """
    condition, first, second = node.input
    test, (constant, names) = finder.maker(condition, "Greater"), finder.factors(second)
    softplus = finder.maker(names[0], "Softplus") if len(names) == 1 else None
    if test is None or softplus is None:
        return None
    argument = finder.factors(softplus.input[0])
    is_linear = is_close(argument.constant * constant, 1.0) and argument.names == (first,)
    is_large = finder.constants.get(test.input[1], 0.0) * LOG_E > DIGITS
    if not (is_linear and is_large and finder.factors(test.input[0]) == argument):
        return None
    return [needed("onnx.helper").make_node("Identity", [second], node.output, node.name)]


def _product(finder: Finder, node: Any) -> list[Any] | None:
    """The nodes of a product of a value and a gate of it."""
    constant, names = finder.factors(node.output[0])
    if len(names) != 2:
        return None
    for x, name in (names, names[::-1]):
        found = gate(finder, name, x)
        if found is not None:
            return _scaled(node, found, x, constant / found.constant)
    return None


def _scaled(node: Any, gate: Gate, x: str, scale: float) -> list[Any]:
    make = needed("onnx.helper").make_node
    (output,) = node.output
    if is_close(scale, 1.0):
        return [make(gate.op, [x], [output], node.name, **gate.settings)]
    inner, number = f"{output}:gated", f"{output}:scale"
    array = needed("onnx.numpy_helper").from_array(np.float32(scale))
    return [
        make(gate.op, [x], [inner], node.name, **gate.settings),
        make("Constant", [], [number], value=array),
        make("Mul", [inner, number], [output], node.name),
    ]


def _quotient(finder: Finder, node: Any) -> list[Any] | None:
    """The nodes of a known product, of a softsign, or of a product with an inverse root."""
    make = needed("onnx.helper").make_node
    divisor = finder.plus_constant(finder.makers.get(node.input[1]), 1.0)
    absolute = finder.maker(divisor or "", "Abs")
    if absolute is not None and absolute.input[0] == node.input[0]:
        return [make("Softsign", absolute.input, node.output, node.name)]
    root = finder.maker(node.input[1], "Sqrt")
    if root is None:
        return _product(finder, node)
    inverse = f"{node.output[0]}:inverse"
    return [
        make("Rsqrt", root.input, [inverse], node.name, domain=OWN),
        make("Mul", [node.input[0], inverse], node.output, node.name),
    ]


def _of(inner: str, op: str) -> Callable[[Finder, Any], list[Any] | None]:
    """The search for a function of another as one operation of this room's own."""

    def search(finder: Finder, node: Any) -> list[Any] | None:
        maker = finder.maker(node.input[0], inner)
        if maker is None:
            return None
        make = needed("onnx.helper").make_node
        return [make(op, maker.input, node.output, node.name, domain=OWN)]

    return search


def _sum(finder: Finder, node: Any) -> list[Any] | None:
    """The sum a m + b m as (a + b) m, whose bounds count m once: so normalisations are written.

    Something may be added to the second product, or have it subtracted.
    """
    for first, second in (node.input, [*reversed(node.input)]):
        one, other = finder.maker(first, "Mul"), finder.makers.get(second)
        if one is None or other is None:
            continue
        for product, sign, rest in _products(finder, other):
            shared = [name for name in one.input if name in product.input]
            values = [name for name in shared if name not in finder.weights]
            if values:
                return _factored(finder, node, one, product, values[0], sign, rest)
    return None


def _products(finder: Finder, node: Any) -> Iterator[tuple[Any, str, str | None]]:
    """The products in a node, the operation that joins each to another, and what else is added."""
    if node.op_type == "Mul":
        yield node, "Add", None
    if node.op_type in ("Add", "Sub"):
        for rest, name in (node.input, [*reversed(node.input)]):
            product = finder.maker(name, "Mul")
            is_whole = node.op_type == "Add" or name == node.input[1]
            if product is not None and is_whole:
                yield product, node.op_type, rest


def _factored(
    finder: Finder, node: Any, one: Any, other: Any, shared: str, sign: str, rest: str | None
) -> list[Any]:
    """The nodes of (a + b) m, plus the rest; a constant factor of m is multiplied with last."""
    make, (output,) = needed("onnx.helper").make_node, node.output
    total, product = f"{output}:sum", f"{output}:product"
    terms = [without(one.input, shared), without(other.input, shared)]
    maker = finder.maker(shared, "Mul")
    factors = [shared] if maker is None else sorted(maker.input, key=finder.weights.__contains__)
    written = [make(sign, terms, [total], node.name)]
    for i, factor in enumerate(factors):
        written.append(make("Mul", [total, factor], [f"{product}{i}"], node.name))
        total = f"{product}{i}"
    last = [total, rest] if rest else [total]
    return [*written, make("Add" if rest else "Identity", last, [output], node.name)]


SEARCHES: dict[str, Callable[[Finder, Any], list[Any] | None]] = {
    "Add": _sum,
    "Div": _quotient,
    "Log": _of("Sigmoid", "LogSigmoid"),
    "Mul": _product,
    "Neg": _product,
    "Reciprocal": _of("Sqrt", "Rsqrt"),
    "Where": _choice,
}
