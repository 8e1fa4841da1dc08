"""Products of a value and a kernel by Einstein's summation convention."""

import dataclasses
import math
import string

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.activations import activation_steps
from rt_tf.network.lowerings.keras_sums import refuse_misplaced
from rt_tf.network.lowerings.weights import product, value
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Call, Step


@dataclasses.dataclass(frozen=True)
class Equation:
    """The letters of the axes of the value, the kernel and the output."""

    value: str
    kernel: str
    output: str

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The sum of products, [batch, ...]."""
        return tf.einsum(f"{self.value},{self.kernel}->{self.output}", x, kernel)

    def terms(self, lengths: dict[str, int]) -> tuple[int, int]:
        """The most products that an output is the sum of, and an input takes part in."""
        letters = set(self.value + self.kernel) - {self.value[0]}
        summed = math.prod(lengths[letter] for letter in letters - set(self.output))
        back = math.prod(lengths[letter] for letter in letters - set(self.value))
        return summed, back


def einsum_dense(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of a product by a layer's equation.

    UserError for an equation that moves or sums the batch, and a bias that Keras misplaces.
    """
    kernel, rank = value(layer.kernel), len(call.input_shapes[0]) + 1
    equation = _without_dots(layer.equation, rank)
    batch = equation.value[0]
    if equation.output[0] != batch or batch in equation.kernel + equation.output[1:]:
        raise UserError(
            f"layer '{layer.name}': expected an equation that keeps the batch first; "
            f"received '{layer.equation}'"
        )
    lengths = dict(zip(equation.value[1:], call.input_shapes[0], strict=True))
    lengths |= dict(zip(equation.kernel, kernel.shape, strict=True))
    bias = None if layer.bias is None else value(layer.bias)
    if bias is not None:
        output = tuple(lengths[letter] for letter in equation.output[1:])
        refuse_misplaced(layer, output, (1,) * (len(output) - bias.shape.rank) + tuple(bias.shape))
    op = product(equation, kernel, bias, equation.terms(lengths))
    return [Step(op), *activation_steps(layer, call)]


def _without_dots(equation: str, rank: int) -> Equation:
    """The axes of an equation, with letters for all that its dots stand for."""
    left, output = equation.replace(" ", "").split("->")
    operand, kernel = left.split(",")
    missing = rank - len(operand.replace("...", ""))
    unused = [letter for letter in string.ascii_letters if letter not in equation]
    dots = "".join(unused[:missing]) if "..." in operand else ""
    return Equation(*(part.replace("...", dots) for part in (operand, kernel, output)))
