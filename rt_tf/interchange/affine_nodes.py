"""ONNX nodes of linear algebra and arithmetic as Keras layers."""

import math

import keras
import numpy as np

from rt_tf.interchange.nodes import Call
from rt_tf.interchange.values import Value, vectors

LEAST_EXPONENT = -125  # 0.5 to 1 times 2 to its power are normal numbers of float32


def gemm(call: Call) -> Value:
    """The value alpha x W + beta b of a vector x."""
    call.expect(transA=0)
    kernel = _times(call, call.constant(1), call.settings.get("alpha", 1.0))
    if kernel.ndim != 2:
        raise call.refusal("a matrix as operand 1", f"shape {list(kernel.shape)}")
    kernel = kernel.T if call.settings.get("transB", 0) else kernel
    bias = call.constant(2) if call.has(2) else np.zeros(1, np.float32)
    units = kernel.shape[1]
    bias = np.broadcast_to(_times(call, bias, call.settings.get("beta", 1.0)), (1, units))
    return _dense(call, call.value(), kernel, bias[0], (1, units))


def matmul(call: Call) -> Value:
    """The value x W of a row x, or W x of a column."""
    row = isinstance(call.operands[0], Value)
    value, kernel = call.value(0 if row else 1), call.constant(1 if row else 0)
    if kernel.ndim != 2 or value.positions.size != kernel.shape[0 if row else 1]:
        raise call.refusal(
            "one vector for a matrix", f"shapes {list(value.shape)} and {list(kernel.shape)}"
        )
    kernel = kernel if row else kernel.T
    units = kernel.shape[1]
    shape = (*value.shape[:-1], units) if row else (*value.shape[:-2], units, 1)
    return _dense(call, value, kernel, np.zeros(units, np.float32), shape)


def add(call: Call) -> Value:
    """The sum of two values, or of a value and a constant."""
    if _both(call):
        return _sum(call, call.value(0), call.value(1))
    value, constant = _apart(call)
    if value.maker is not None and value.laid(constant).ndim <= 1:
        bias = value.laid(constant)
        value.maker.bias.assign(np.broadcast_to(bias, value.maker.bias.shape))
        return value._replace(maker=None)
    return _scaled(value, np.ones(1, np.float32), constant)


def subtract(call: Call) -> Value:
    """The difference of two values, or of a value and a constant in either order."""
    minus, zero = -np.ones(1, np.float32), np.zeros(1, np.float32)
    if _both(call):
        return _sum(call, call.value(0), _scaled(call.value(1), minus, zero))
    value, constant = _apart(call)
    if value is call.operands[0]:
        return _scaled(value, -minus, -constant)
    return _scaled(value, minus, constant)


def multiply(call: Call) -> Value:
    """The product of a value and a constant."""
    if _both(call):
        raise call.refusal("a constant factor", "two values computed from the input")
    value, constant = _apart(call)
    return _scaled(value, constant, np.zeros(1, np.float32))


def divide(call: Call) -> Value:
    """The quotient of a value by a constant."""
    constant = call.constant(1)
    if not constant.all():
        raise call.refusal("a divisor other than 0", "one that has a 0")
    value = _broadcast(call, call.value(), constant)
    return _scaled(value, 1.0 / constant.astype(np.float64), np.zeros(1, np.float32))


def batch_normalization(call: Call) -> Value:
    """The value after a scale and a shift of every channel, by the statistics of training."""
    call.expect(training_mode=0)
    value = call.value()
    if len(value.shape) == 2:  # each number is a channel
        value = Value(value.flat(), value.positions)
    shape = [1, -1, *[1] * (len(value.shape) - 2)]
    gamma, beta, mean, variance = (value.laid(call.constant(k).reshape(shape)) for k in range(1, 5))
    epsilon = call.settings.get("epsilon", 1e-5)
    layer = keras.layers.BatchNormalization(epsilon=epsilon)
    tensor = layer(value.tensor)
    channels = tensor.shape[-1]
    if any(constant.ndim > 1 for constant in (gamma, beta, mean, variance)):
        raise call.refusal("channels that are channels", f"shape {list(value.shape)}")
    layer.set_weights([np.broadcast_to(w, channels) for w in (gamma, beta, mean, variance)])
    return Value(tensor, value.positions)


def _dense(
    call: Call, value: Value, kernel: np.ndarray, bias: np.ndarray, shape: tuple[int, ...]
) -> Value:
    """A dense layer whose kernel's rows are in the order of the value's numbers."""
    if value.positions.size != kernel.shape[0]:
        raise call.refusal(f"a vector of {kernel.shape[0]}", f"shape {list(value.shape)}")
    laid = np.empty_like(kernel)
    laid[value.positions.ravel()] = kernel
    layer = keras.layers.Dense(kernel.shape[1], kernel_initializer="zeros")
    tensor = layer(value.flat())
    layer.set_weights([laid, bias])
    return vectors(tensor, shape, maker=None if bias.any() else layer)


def _both(call: Call) -> bool:
    return all(isinstance(operand, Value) for operand in call.operands)


def _apart(call: Call) -> tuple[Value, np.ndarray]:
    """The operand that depends on the input, in the result's shape, and the constant one."""
    first = isinstance(call.operands[0], Value)
    value, constant = call.value(0 if first else 1), call.constant(1 if first else 0)
    return _broadcast(call, value, constant), constant


def _broadcast(call: Call, value: Value, constant: np.ndarray) -> Value:
    shape = np.broadcast_shapes(value.shape, constant.shape)
    if math.prod(shape) != value.positions.size:
        raise call.refusal(
            f"a constant no larger than {list(value.shape)}", f"one of {list(constant.shape)}"
        )
    same = shape == value.shape
    return value if same else value._replace(positions=value.positions.reshape(shape))


def _scaled(value: Value, scale: np.ndarray, offset: np.ndarray) -> Value:
    """The value scale x + offset; both constants broadcast against x.

    In two steps where float32 has no normal number like the scale: it would be infinite or, in
    TensorFlow, zero, while its product with x may be huge or tiny.
    """
    power = _power(scale)
    if (power != 1.0).any():
        value = _scaled(value, power, np.zeros(1, np.float32))
        scale = scale / power
    layer = keras.layers.Rescaling(value.laid(scale).tolist(), value.laid(offset).tolist())
    return Value(layer(value.tensor), value.positions)


def _power(scale: np.ndarray) -> np.ndarray:
    """Powers of two that divide numbers beyond float32's normal range back into it; else 1."""
    _, exponents = np.frexp(scale.astype(np.float64))
    is_beyond = (scale != 0.0) & ((exponents < LEAST_EXPONENT) | (exponents > -LEAST_EXPONENT))
    return np.where(is_beyond, np.exp2(exponents // 2), 1.0)


def _times(call: Call, constant: np.ndarray, factor: float) -> np.ndarray:
    """A product of constants; UserError where only it leaves float32's normal numbers."""
    product = constant * np.float64(factor)
    if ((_power(product) != 1.0) & (_power(constant) == 1.0)).any() and np.isfinite(constant).all():
        raise call.refusal("factors of a product that float32 holds", f"{factor:g} times weights")
    return product.astype(np.float32)


def _sum(call: Call, one: Value, other: Value) -> Value:
    if one.shape != other.shape or not (one.positions == other.positions).all():
        raise call.refusal(
            "two values of one shape and order", f"{list(one.shape)} and {list(other.shape)}"
        )
    alike = one.tensor.shape == other.tensor.shape
    tensors = [one.tensor, other.tensor] if alike else [one.flat(), other.flat()]
    return Value(keras.layers.Add()(tensors), one.positions)
