"""The softmax at the end of an ONNX network: left out, as it keeps the order of the logits."""

import math
from typing import Any

from rt_tf.interchange.nodes import refusal, settings
from rt_tf.interchange.operations import DOMAINS
from rt_tf.interchange.values import Shape

NOTE = "the final softmax is left out: it keeps the order of the logits"
ONE_AXIS = 13  # the opset from which on a softmax is over one axis; before, over all from one on


def apart(graph: Any) -> tuple[list[Any], Any]:
    """The nodes before a network's final softmax, and that softmax; or all nodes, and None."""
    nodes = list(graph.node)
    last = nodes[-1]
    is_softmax = last.op_type == "Softmax" and last.domain in DOMAINS
    if not is_softmax or last.output[0] != graph.output[0].name:
        return nodes, None
    return nodes[:-1], last


def check(softmax: Any, opset: int, shape: Shape) -> None:
    """Raises UserError unless a softmax of logits is over all of them, in either meaning."""
    axis = settings(softmax).get("axis", -1 if opset >= ONE_AXIS else 1)
    if not -len(shape) <= axis < len(shape):
        raise refusal(softmax, "an axis of its operand", f"axis={axis} of {list(shape)}")
    if shape[axis] != math.prod(shape):
        raise refusal(
            softmax, "a final softmax over all outputs", f"one over axis {axis} of {list(shape)}"
        )
