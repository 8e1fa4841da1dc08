"""ONNX nodes of arithmetic: of two values that broadcast, or of a value and a constant."""

import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import plus, scaled, spread
from rt_tf.interchange.nodes.values import Value, check_size, placed

L = keras.layers


def add(call: Call) -> Value:
    """The sum of two values, or of a value and a constant."""
    if call.has_values(2):
        return total([call.value(0), call.value(1)])
    return plus(*_apart(call))


def subtract(call: Call) -> Value:
    """The difference of two values, or of a value and a constant in either order."""
    if call.has_values(2):
        return total([call.value(0), scaled(call.value(1), -1.0)])
    value, constant = _apart(call)
    value = spread(value, constant)
    if isinstance(call.operands[0], Value):
        return scaled(value, 1.0, -constant)
    return scaled(value, -1.0, constant)


def multiply(call: Call) -> Value:
    """The product of two values, or of a value and a constant."""
    if not call.has_values(2):
        value, constant = _apart(call)
        return scaled(spread(value, constant), constant)
    one, other = call.value(0), call.value(1)
    is_square = one.tensor is other.tensor and np.array_equal(one.positions, other.positions)
    return _by_number(one, keras.ops.square) if is_square else product(one, other)


def divide(call: Call) -> Value:
    """The quotient of two values, or of a value and a constant in either order."""
    if isinstance(call.operands[1], Value):
        inverse = _by_number(call.value(1), keras.ops.reciprocal)
        if isinstance(call.operands[0], Value):
            return product(call.value(0), inverse)
        constant = call.finite(0)
        return scaled(spread(inverse, constant), constant)
    constant = call.finite(1)
    if not constant.all():
        raise call.refusal("a divisor other than 0", "one that has a 0")
    value = spread(call.value(), constant)
    return scaled(value, 1.0 / constant.astype(np.float64))


def power(call: Call) -> Value:
    """The power of a value by one constant exponent."""
    exponent = call.finite(1)
    if exponent.size != 1:
        raise call.refusal("one exponent", f"exponents {list(exponent.shape)}")
    number = float(exponent.ravel()[0])
    value = spread(call.value(), exponent)
    if number == 1.0:
        return value
    return _by_number(value, POWERS.get(number, functools.partial(keras.ops.power, x2=number)))


POWERS: dict[float, Callable] = {
    -1.0: keras.ops.reciprocal,
    -0.5: keras.ops.rsqrt,
    0.5: keras.ops.sqrt,
    2.0: keras.ops.square,
}


def summation(call: Call) -> Value:
    """The sum of any number of values and constants."""
    values, constants = _parted(call)
    result = total(values) if len(values) > 1 else values[0]
    return plus(result, sum(constants, np.zeros((), np.float32))) if constants else result


def mean(call: Call) -> Value:
    """The mean of any number of values and constants."""
    return scaled(summation(call), 1.0 / len(call.operands))


def extreme(layer: type[keras.layers.Layer], op: Callable) -> Callable[[Call], Value]:
    """The maximum or the minimum, of any number of values and constants.

    layer: of values. op: of a value and a constant.
    """

    def apply(call: Call) -> Value:
        values, constants = _parted(call)
        result = _joined(layer, values) if len(values) > 1 else values[0]
        for constant in constants:
            result = spread(result, constant)
            result = Value(op(result.tensor, result.laid(constant)), result.positions)
        return result

    return apply


def where(call: Call) -> Value:
    """The one operand where a constant is true, else the other."""
    condition = call.operands[0]
    if not isinstance(condition, np.ndarray):
        raise call.refusal("a constant condition", "one computed from the network's input")
    is_first = condition.astype(bool)
    parts = [_where(call, 1, is_first), _where(call, 2, ~is_first)]
    values = [part for part in parts if isinstance(part, Value)]
    constants = [part for part in parts if isinstance(part, np.ndarray)]
    return plus(values[0], constants[0]) if constants else total(values)


def _where(call: Call, i: int, chosen: np.ndarray) -> Value | np.ndarray:
    """Operand i where it is chosen, else 0."""
    if isinstance(call.operands[i], Value):
        return scaled(spread(call.value(i), chosen), chosen.astype(np.float32))
    constant = np.where(chosen, call.constant(i), np.float32(0.0))
    if not np.isfinite(constant).all():
        raise call.refusal(f"finite constants as operand {i}", "others")
    return constant


def triangle(call: Call) -> Value:
    """The value times a constant of zeros and ones: a triangle of each of its matrices."""
    size = call.value().shape[-2:]
    (diagonal,) = call.whole_numbers(1, "diagonal") or [0]
    keep = np.triu if call.settings.get("upper", 1) else np.tril
    return scaled(call.value(), keep(np.ones(size, np.float32), diagonal))


def total(values: Sequence[Value]) -> Value:
    """The sum of values that broadcast.

    The smaller come first: Keras takes a second operand [batch, 1, ...] for a bias of channels
    where there are as many examples as channels.
    """
    return _joined(L.Add, sorted(values, key=lambda value: value.positions.size))


def product(one: Value, other: Value) -> Value:
    """The product of two values that broadcast."""
    return _joined(L.Multiply, [one, other])


def _joined(layer: type[keras.layers.Layer], values: Sequence[Value]) -> Value:
    """A layer of values that broadcast; those in one layout stay in it."""
    first, *others = values
    if all(np.array_equal(other.positions, first.positions) for other in others):
        alike = {tuple(value.tensor.shape) for value in values}
        tensors = [v.tensor if len(alike) == 1 else v.flat() for v in values]
        return Value(layer()(tensors), first.positions)
    shape = np.broadcast_shapes(*(value.shape for value in values))
    check_size(shape)
    raised = [v._replace(positions=v.positions.reshape(_raised(v.shape, shape))) for v in values]
    whole = [value for value in raised if value.shape == shape]
    first_axis = int(len(shape) > 1 and shape[0] == 1)
    order = whole[0].order if whole else tuple(range(first_axis, len(shape)))
    return placed(layer()([value.arranged(order) for value in raised]), shape, order)


def _raised(shape: tuple[int, ...], like: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (len(like) - len(shape)) + shape


def _by_number(value: Value, op: Callable) -> Value:
    return Value(op(value.tensor), value.positions)


def _apart(call: Call) -> tuple[Value, np.ndarray]:
    """The operand that depends on the input, and the constant one."""
    first = isinstance(call.operands[0], Value)
    return call.value(0 if first else 1), call.finite(1 if first else 0)


def _parted(call: Call) -> tuple[list[Value], list[np.ndarray]]:
    """All operands that depend on the input, and all constants."""
    is_value = [isinstance(operand, Value) for operand in call.operands]
    values = [call.value(i) for i, yes in enumerate(is_value) if yes]
    return values, [call.finite(i) for i, yes in enumerate(is_value) if not yes]
