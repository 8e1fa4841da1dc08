"""An ONNX node as it is called: its settings and operands, and its evaluation on constants."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.nodes.values import Value
from rt_tf.interchange.optional import needed

Operand: TypeAlias = Value | np.ndarray | None

DOMAINS = ("", "ai.onnx")  # of ONNX's own operations
SHAPES = ("Shape", "Size")  # operations on values whose results are constants
MOST_CONSTANTS = 2**27  # of one node
FEW = 64  # a tensor of so few numbers may be a shape
GRAPHS = (5, 10)  # onnx.AttributeProto.GRAPH and GRAPHS

COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Call(NamedTuple):
    """A node with its settings and operands."""

    node: Any
    settings: Mapping[str, Any]
    operands: Sequence[Operand]
    opsets: Mapping[str, int]

    def value(self, i: int = 0) -> Value:
        """Operand i, which depends on the network's input; UserError for a constant."""
        operand = self.operands[i] if i < len(self.operands) else None
        if not isinstance(operand, Value):
            raise self.refusal(f"operand {i} computed from the network's input", "a constant")
        return operand

    def constant(self, i: int) -> np.ndarray:
        """Operand i, a constant of any shape in float32; UserError for other operands."""
        operand = self.operands[i] if i < len(self.operands) else None
        if not isinstance(operand, np.ndarray) or operand.dtype != np.float32:
            received = getattr(operand, "dtype", "a value computed from the input")
            raise self.refusal(f"a constant in float32 as operand {i}", str(received))
        return operand

    def finite(self, i: int) -> np.ndarray:
        """Operand i, a constant of any shape in float32; UserError where it is not finite."""
        constant = self.constant(i)
        if not np.isfinite(constant).all():
            raise self.refusal(f"finite constants as operand {i}", "others")
        return constant

    def whole_numbers(self, i: int, name: str) -> list[int] | None:
        """The constant whole numbers of operand i, or of the setting by which it was given before.

        None where there are neither; UserError for an operand that is not constant.
        """
        if not self.has(i):
            return None if name not in self.settings else [*np.ravel(self.settings[name])]
        operand = self.operands[i]
        if not isinstance(operand, np.ndarray):
            raise self.refusal(f"constant {name}", "what is computed from the network's input")
        return [int(number) for number in operand.ravel()]

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of operand i; UserError for an operand that is left out."""
        operand = self.operands[i] if i < len(self.operands) else None
        if operand is None:
            raise self.refusal(f"an operand {i}", "none")
        return operand.shape

    @property
    def opset(self) -> int:
        """The version of ONNX's own operations in the file."""
        return max((v for domain, v in self.opsets.items() if domain in DOMAINS), default=0)

    def has_values(self, count: int) -> bool:
        """Whether the first operands, so many, all depend on the network's input."""
        return all(isinstance(operand, Value) for operand in self.operands[:count])

    def has(self, i: int) -> bool:
        """Whether the node has an operand i."""
        return i < len(self.operands) and self.operands[i] is not None

    def expect(self, **usual: Any) -> None:
        """Raises UserError where a setting is not the usual one."""
        for name, value in usual.items():
            if self.settings.get(name, value) != value:
                raise self.refusal(f"{name}={value}", f"{name}={self.settings[name]}")

    def refusal(self, expected: str, received: str) -> UserError:
        """The error to raise for a node that has no counterpart here."""
        return refusal(self.node, expected, received)


def refusal(node: Any, expected: str, received: str) -> UserError:
    """The error to raise for a node that has no counterpart here."""
    return UserError(
        f"onnx_file: node '{named(node)}' ({node.op_type}): expected {expected}; "
        f"received {received}"
    )


def depending(nodes: Iterable[Any], start: str) -> list[Any]:
    """The nodes whose results depend on the numbers of a value of this name, in order.

    The shape of a value does not.
    """
    names, others = {start}, []
    for node in nodes:
        if node.op_type not in SHAPES and not names.isdisjoint(node.input):
            names |= set(node.output)
            others.append(node)
    return others


def named(node: Any) -> str:
    """A node's name, or that of its output if it has none."""
    return node.name or next(iter(node.output), "")


def settings(node: Any) -> dict[str, Any]:
    """The attributes of a node by name; texts are of type str."""
    helper = needed("onnx.helper")
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {n: v.decode() if isinstance(v, bytes) else v for n, v in values.items()}


def evaluated(
    node: Any, opsets: Mapping[str, int], operands: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    """The outputs of a node of constants, by ONNX's reference evaluator: arrays of any shape.

    operands: the constants, of any shape; None for one left out. UserError if it cannot.
    """
    try:
        return _run(node, opsets, operands)
    except UserError:
        raise
    except Exception as error:  # the evaluator's are of many kinds
        raise refusal(node, "what ONNX's evaluator computes", error_line(error)) from error


def error_line(error: Exception) -> str:
    """A foreign error in one line, without a terminal's colours."""
    return f"{type(error).__name__}: {' '.join(COLOUR.sub('', str(error)).split())[:200]}"


def _run(
    node: Any, opsets: Mapping[str, int], operands: Sequence[np.ndarray | None]
) -> list[np.ndarray]:
    helper, reference = needed("onnx.helper"), needed("onnx.reference")
    if any(attribute.type in GRAPHS for attribute in node.attribute):
        raise refusal(node, "an operation on constants", "one that runs a graph of its own")
    feeds = {n: x for n, x in zip(node.input, operands, strict=True) if x is not None}
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in feeds.items()
    ]
    outputs = [helper.make_tensor_value_info(name, 0, None) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    _refuse_huge(node, graph, opsets, feeds)
    return reference.ReferenceEvaluator(graph, opsets=dict(opsets)).run(None, feeds)


def _refuse_huge(
    node: Any, graph: Any, opsets: Mapping[str, int], feeds: Mapping[str, np.ndarray]
) -> None:
    """Raises UserError for a node of more constants than any network's, before they are made."""
    for name, shape in _shapes(graph, opsets, feeds).items():
        if math.prod(shape) > MOST_CONSTANTS:
            raise refusal(
                node, f"at most {MOST_CONSTANTS:,} constants", f"'{name}' of shape {list(shape)}"
            )


def _shapes(
    graph: Any, opsets: Mapping[str, int], feeds: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    """The shapes of a node's outputs, where ONNX can infer them."""
    helper, numpy_helper = needed("onnx.helper"), needed("onnx.numpy_helper")
    small = [numpy_helper.from_array(x, n) for n, x in feeds.items() if x.size <= FEW]
    graph.initializer.extend(small)
    versions = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(graph, opset_imports=versions)
    inferred = needed("onnx.shape_inference").infer_shapes(model, data_prop=True).graph.output
    del graph.initializer[:]
    return {
        value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in inferred
    }
