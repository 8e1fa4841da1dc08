"""The softmax at the end of an ONNX network: left out, as it keeps the order of the logits."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from rt_tf.interchange.nodes.call import DOMAINS, refusal, settings
from rt_tf.interchange.nodes.layouts import Shape
from rt_tf.interchange.nodes.normalising import ONE_AXIS

ENDINGS = {"Softmax": "softmax", "LogSoftmax": "logarithm of softmax"}


class Ending(NamedTuple):
    """The name of a network's last value before its softmax, and that node, if it has one."""

    result: str
    node: Any = None

    @property
    def notes(self) -> tuple[str, ...]:
        """A line on the softmax that is left out, if one is."""
        if self.node is None:
            return ()
        name = ENDINGS[self.node.op_type]
        return (f"the final {name} is left out: it keeps the order of the logits",)

    @property
    def gives_logarithms(self) -> bool:
        """Whether the file's outputs are logarithms of probabilities."""
        return self.node is not None and self.node.op_type == "LogSoftmax"

    def check(self, opset: int, shape: Shape) -> None:
        """Raises UserError unless a softmax of logits is over all of them, in either meaning."""
        if self.node is None:
            return
        axis = settings(self.node).get("axis", -1 if opset >= ONE_AXIS else 1)
        if not -len(shape) <= axis < len(shape):
            raise refusal(self.node, "an axis of its operand", f"axis={axis} of {list(shape)}")
        if shape[axis] != math.prod(shape):
            raise refusal(
                self.node,
                "a final softmax over all outputs",
                f"one over axis {axis} of {list(shape)}",
            )


def ending(nodes: Sequence[Any], output: str) -> Ending:
    """The end of the network that computes an output."""
    makers = {name: node for node in nodes for name in node.output}
    node = makers.get(output)
    for _ in nodes:
        if node is None or node.domain not in DOMAINS or len(node.input) != 1:
            return Ending(output)
        if node.op_type in ENDINGS:
            return Ending(node.input[0], node)
        if node.op_type != "Identity":
            return Ending(output)
        node = makers.get(node.input[0])
    return Ending(output)
