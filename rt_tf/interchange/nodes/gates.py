"""Functions that are a value times another function of it, as exporters write activations.

`x / 2 * (1 + erf(x / sqrt(2)))` is GELU.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rt_tf.interchange.nodes.call import settings
from rt_tf.interchange.nodes.finding import Finder, is_close, without


class Gate(NamedTuple):
    """A known function of a value, as `constant` times the value times another function of it."""

    op: str
    constant: float = 1.0
    settings: Mapping[str, Any] = {}


def gate(finder: Finder, name: str, x: str) -> Gate | None:
    """The function that x times a value of this name is, if it is known."""
    node = finder.makers.get(name)
    search = GATES.get(node.op_type) if node is not None else None
    return search(finder, node, x) if search else None


def _sigmoid_gate(finder: Finder, node: Any, x: str) -> Gate | None:
    constant, names = finder.factors(node.input[0])
    return Gate("Swish", settings={"alpha": constant}) if names == (x,) else None


def _hard_sigmoid_gate(finder: Finder, node: Any, x: str) -> Gate | None:
    values = settings(node)
    usual = is_close(values.get("alpha", 0.2), 1 / 6) and is_close(values.get("beta", 0.5), 0.5)
    return Gate("HardSwish") if usual and node.input[0] == x else None


def _clip_gate(finder: Finder, node: Any, x: str) -> Gate | None:
    """The gate clip(x + 3, 0, 6) of six times a hard swish."""
    ends = [finder.constants.get(name) for name in node.input[1:]]
    if not ends:
        ends = [settings(node).get("min"), settings(node).get("max")]
    moved = finder.plus_constant(finder.makers.get(node.input[0]), 3.0)
    return Gate("HardSwish", 1 / 6) if ends == [0.0, 6.0] and moved == x else None


def _tanh_gate(finder: Finder, node: Any, x: str) -> Gate | None:
    softplus = finder.maker(node.input[0], "Softplus")
    return Gate("Mish") if softplus is not None and softplus.input[0] == x else None


def _sum_gate(finder: Finder, node: Any, x: str) -> Gate | None:
    """The gates 1 + erf(x / sqrt(2)), and 1 + tanh(sqrt(2 / pi) (x + .044715 x^3)), of GELU."""
    inner = finder.makers.get(finder.plus_constant(node, 1.0) or "")
    if inner is None or inner.op_type not in ("Erf", "Tanh"):
        return None
    constant, names = finder.factors(inner.input[0])
    if inner.op_type == "Erf":
        is_gelu = names == (x,) and is_close(constant, math.sqrt(0.5))
        return Gate("Gelu", 0.5) if is_gelu else None
    if len(names) != 1 or not is_close(constant, math.sqrt(2.0 / math.pi)):
        return None
    total = finder.maker(names[0], "Add")
    is_gelu = total is not None and x in total.input and _is_cube(finder, total, x)
    return Gate("Gelu", 0.5, {"approximate": "tanh"}) if is_gelu else None


def _is_cube(finder: Finder, total: Any, x: str) -> bool:
    """Whether what is added to x is .044715 x^3."""
    constant, names = finder.factors(without(total.input, x))
    if not is_close(constant, 0.044715):
        return False
    power = finder.maker(names[0], "Pow") if len(names) == 1 else None
    if power is None:
        return names == (x, x, x)
    return power.input[0] == x and finder.constants.get(power.input[1]) == 3.0


GATES: dict[str, Callable[[Finder, Any, str], Gate | None]] = {
    "Add": _sum_gate,
    "Clip": _clip_gate,
    "HardSigmoid": _hard_sigmoid_gate,
    "Sigmoid": _sigmoid_gate,
    "Tanh": _tanh_gate,
}
