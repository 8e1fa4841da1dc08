"""Why nodes have no counterpart: kinds of operations that are refused, each with its reason."""

from collections.abc import Sequence
from typing import Any, NoReturn

from rt_tf.interchange.nodes.call import DOMAINS, refusal

REASONS = {  # the reason -> operations it holds for
    "control flow, whose steps are not known": ("If", "Loop", "Scan", "SequenceMap"),
    "a recurrent layer, whose state has no bounds": ("GRU", "LSTM", "RNN"),
    "quantised arithmetic, which rounds to whole numbers": (
        *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"),
        *("QLinearConv", "QLinearMatMul", "QuantizeLinear"),
    ),
    "a function that jumps or is not decided by numbers nearby": (
        *("ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "Less"),
        *("LessOrEqual", "Mod", "NonZero", "OneHot", "Round", "Sign", "ThresholdedRelu", "TopK"),
    ),
}


def refuse_unknown(node: Any, known: Sequence[str]) -> NoReturn:
    """Raises UserError for a node of an operation that is not known, with the reason if there is.

    known: names of all operations that are.
    """
    if node.domain not in DOMAINS:
        raise refusal(node, "an operation of ONNX's own", f"one of the domain '{node.domain}'")
    for reason, names in REASONS.items():
        if node.op_type in names:
            raise refusal(node, "an operation that has bounds", reason)
    raise refusal(node, f"operations among {', '.join(sorted(known))}", f"'{node.op_type}'")
