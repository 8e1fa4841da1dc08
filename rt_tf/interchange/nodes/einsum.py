"""ONNX's Einsum as a product of matrices: two operands, each letter once in each."""

import numpy as np

from rt_tf.interchange.nodes.affine import multiplied
from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.values import Value


def einsum(call: Call) -> Value:
    """The sums of products that an equation names; UserError for other equations."""
    one, other, result = _letters(call)
    batch = [letter for letter in result if letter in one and letter in other]
    rows = [letter for letter in result if letter in one and letter not in other]
    columns = [letter for letter in result if letter in other and letter not in one]
    summed = [letter for letter in one if letter in other and letter not in result]
    sizes = dict(zip([*one, *other], [*call.shape(0), *call.shape(1)], strict=True))
    groups = [[sizes[letter] for letter in part] for part in (batch, rows, columns, summed)]
    if set(one) | set(other) != {*batch, *rows, *columns, *summed} or set(result) - set(sizes):
        raise call.refusal("letters that are in both operands or in the result", "others")
    left = _grouped(call, 0, one, batch + rows + summed, [groups[0], groups[1], groups[3]])
    right = _grouped(call, 1, other, batch + summed + columns, [groups[0], groups[3], groups[2]])
    product = multiplied(call, left, right)
    positions = product.positions.reshape([sizes[letter] for letter in batch + rows + columns])
    order = [(batch + rows + columns).index(letter) for letter in result]
    return product._replace(positions=positions.transpose(order))


def _letters(call: Call) -> tuple[str, str, str]:
    """The letters of both operands and of the result."""
    equation = str(call.settings["equation"]).replace(" ", "")
    operands, _, result = equation.partition("->")
    parts = operands.split(",")
    plain = all(part.isalpha() and len(set(part)) == len(part) for part in [*parts, result])
    if len(parts) != 2 or len(call.operands) != 2 or not plain:
        raise call.refusal("two operands and a result, of different letters each", equation)
    if any(len(part) != len(call.shape(i)) for i, part in enumerate(parts)):
        raise call.refusal("a letter for each axis", equation)
    return parts[0], parts[1], result


def _grouped(
    call: Call, i: int, letters: str, order: list[str], groups: list[list[int]]
) -> Value | np.ndarray:
    """Operand i with its axes in an order, those of each group as one axis."""
    axes = [letters.index(letter) for letter in order]
    shape = [int(np.prod(sizes)) for sizes in groups]
    if isinstance(call.operands[i], np.ndarray):
        return call.finite(i).transpose(axes).reshape(shape)
    value = call.value(i)
    return value._replace(positions=value.positions.transpose(axes).reshape(shape), maker=None)
