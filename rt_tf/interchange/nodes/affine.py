"""ONNX nodes of linear algebra: products of matrices, and batch normalisation."""

import keras
import numpy as np

from rt_tf.interchange.nodes.arithmetic import total
from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import plus, power_beyond, scaled
from rt_tf.interchange.nodes.values import Value, channels_last, placed, vectors

L = keras.layers


def gemm(call: Call) -> Value:
    """The value alpha A B + beta C of matrices, of which each may be transposed."""
    one = _turned(_operand(call, 0), call.settings.get("transA", 0))
    other = _turned(_operand(call, 1), call.settings.get("transB", 0))
    for i, operand in enumerate((one, other)):
        if len(operand.shape) != 2:
            raise call.refusal(f"a matrix as operand {i}", f"shape {list(operand.shape)}")
    alpha, beta = call.settings.get("alpha", 1.0), call.settings.get("beta", 1.0)
    if isinstance(other, np.ndarray):
        other = _times(call, other, alpha)
    elif isinstance(one, np.ndarray):
        one = _times(call, one, alpha)
    elif alpha != 1.0:
        one = scaled(one, alpha)
    result = multiplied(call, one, other)
    if not call.has(2):
        return result
    if isinstance(call.operands[2], Value):
        return total([result, scaled(call.value(2), beta)])
    return plus(result, _times(call, call.finite(2), beta))


def matmul(call: Call) -> Value:
    """The product of matrices: of two values, or of a value and a constant.

    A vector is a row on the left and a column on the right, an axis that the result does not have.
    """
    one, other = _operand(call, 0), _operand(call, 1)
    is_row, is_column = len(one.shape) == 1, len(other.shape) == 1
    one = _reshaped(one, (1, *one.shape)) if is_row else one
    other = _reshaped(other, (*other.shape, 1)) if is_column else other
    result = multiplied(call, one, other)
    *first, rows, columns = result.shape
    shape = (*first, *([] if is_row else [rows]), *([] if is_column else [columns]))
    return result._replace(positions=result.positions.reshape(shape))


def multiplied(call: Call, one: Value | np.ndarray, other: Value | np.ndarray) -> Value:
    """The product of matrices [..., m, k] and [..., k, n], of which not both are constant."""
    if isinstance(other, Value):
        if isinstance(one, Value):
            return _of_values(call, one, other)
        # the transpose of a product the other way around
        return _swapped(multiplied(call, _swapped(other), np.swapaxes(one, -1, -2)))
    if isinstance(one, np.ndarray):
        raise call.refusal("a value computed from the network's input", "two constants")
    if other.ndim > 2 and other.size == np.prod(other.shape[-2:]):
        shape = (*(1,) * (other.ndim - len(one.shape)), *one.shape)
        one = one._replace(positions=one.positions.reshape(shape))
        other = other.reshape(other.shape[-2:])
    if other.ndim != 2 or not one.shape or one.shape[-1] != other.shape[0]:
        raise call.refusal(
            "a matrix that fits", f"shapes {list(one.shape)} and {list(other.shape)}"
        )
    shape = (*one.shape[:-1], other.shape[1])
    if one.positions.size == other.shape[0]:
        return _dense(one, other, shape)
    order = one.order if one.order[-1] == len(shape) - 1 else one.axes
    return _layer(one.arranged(order), other, shape, order)


def batch_normalization(call: Call) -> Value:
    """The value after a scale and a shift of every channel, by the statistics of training."""
    call.expect(training_mode=0)
    value = call.value()
    gamma, beta, mean, variance = (call.finite(k) for k in range(1, 5))
    if len(value.shape) == 2:  # each number is a channel
        value = Value(value.flat(), value.positions)
        gamma, beta, mean, variance = (value.laid(x) for x in (gamma, beta, mean, variance))
        order = None
    else:
        order = channels_last(value.shape)
    layer = L.BatchNormalization(epsilon=call.settings.get("epsilon", 1e-5))
    tensor = layer(value.tensor if order is None else value.arranged(order))
    channels = tensor.shape[-1]
    layer.set_weights([np.broadcast_to(w, channels) for w in (gamma, beta, mean, variance)])
    return Value(tensor, value.positions) if order is None else placed(tensor, value.shape, order)


def along(value: Value, axis: int, matrix: np.ndarray) -> Value:
    """The value with each line along an ONNX axis multiplied by a matrix [new size, size]."""
    order = (*(other for other in value.order if other != axis), axis)
    shape = (*value.shape[:axis], matrix.shape[0], *value.shape[axis + 1 :])
    return _layer(value.arranged(order), matrix.T, shape, order)


def _dense(value: Value, kernel: np.ndarray, shape: tuple[int, ...]) -> Value:
    """A dense layer whose kernel's rows are in the order of the value's numbers."""
    laid = np.empty_like(kernel)
    laid[value.positions.ravel()] = kernel
    layer = L.Dense(kernel.shape[1], kernel_initializer="zeros")
    tensor = layer(value.flat())
    layer.set_weights([laid, np.zeros(kernel.shape[1], np.float32)])
    return vectors(tensor, shape, maker=layer)


def _layer(
    tensor: keras.KerasTensor, kernel: np.ndarray, shape: tuple[int, ...], order: tuple[int, ...]
) -> Value:
    """A dense layer of the last axis of a tensor in an order of ONNX axes."""
    layer = L.Dense(kernel.shape[1], kernel_initializer="zeros")
    result = layer(tensor)
    layer.set_weights([kernel, np.zeros(kernel.shape[1], np.float32)])
    return placed(result, shape, order, maker=layer)


def _of_values(call: Call, one: Value, other: Value) -> Value:
    """The product of two values: each keeps its own axes, after a batch's that both have."""
    count = max(len(one.shape), len(other.shape))
    if min(len(one.shape), len(other.shape)) < 2 or one.shape[-1] != other.shape[-2]:
        raise call.refusal(
            "two matrices that fit", f"shapes {list(one.shape)} and {list(other.shape)}"
        )
    one, other = _raised(one, count), _raised(other, count)
    is_batch = count > 2 and one.shape[0] == other.shape[0] == 1
    order = tuple(range(int(is_batch), count))
    first = np.broadcast_shapes(one.shape[:-2], other.shape[:-2])
    tensor = keras.ops.matmul(one.arranged(order), other.arranged(order))
    return placed(tensor, (*first, one.shape[-2], other.shape[-1]), order)


def _raised(value: Value, count: int) -> Value:
    shape = (1,) * (count - len(value.shape)) + value.shape
    return value._replace(positions=value.positions.reshape(shape))


def _reshaped(operand: Value | np.ndarray, shape: tuple[int, ...]) -> Value | np.ndarray:
    if isinstance(operand, np.ndarray):
        return operand.reshape(shape)
    return operand._replace(positions=operand.positions.reshape(shape))


def _operand(call: Call, i: int) -> Value | np.ndarray:
    return call.value(i) if isinstance(call.operands[i], Value) else call.finite(i)


def _turned(operand: Value | np.ndarray, is_turned: int) -> Value | np.ndarray:
    if not is_turned:
        return operand
    return operand.T if isinstance(operand, np.ndarray) else _swapped(operand)


def _swapped(value: Value) -> Value:
    """The value with its last two axes in the other order."""
    return value._replace(positions=np.swapaxes(value.positions, -1, -2))


def _times(call: Call, constant: np.ndarray, factor: float) -> np.ndarray:
    """A product of constants; UserError where only it leaves float32's normal numbers."""
    product = constant * np.float64(factor)
    if ((power_beyond(product) != 1.0) & (power_beyond(constant) == 1.0)).any():
        raise call.refusal("factors of a product that float32 holds", f"{factor:g} times weights")
    return product.astype(np.float32)
