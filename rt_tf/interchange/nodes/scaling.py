"""Values times constants, plus constants: what other operations are made of."""

import keras
import numpy as np

from rt_tf.interchange.nodes.values import Value, moved

LEAST_EXPONENT = -125  # 0.5 to 1 times 2 to its power are normal numbers of float32


def scaled(value: Value, scale: np.ndarray | float, offset: np.ndarray | float = 0.0) -> Value:
    """The value scale x + offset; constants of any shape that broadcasts against the ONNX tensor.

    In two steps where float32 has no normal number like the scale: it would be infinite or, in
    TensorFlow, zero, while its product with x may be huge or tiny.
    """
    factor, shift = np.asarray(scale), np.asarray(offset)
    if (factor == 1.0).all() and not shift.any():
        return value
    power = power_beyond(factor)
    if (power != 1.0).any():
        value = scaled(value, power)
        factor = factor / power
    layer = keras.layers.Rescaling(value.laid(factor).tolist(), value.laid(shift).tolist())
    return Value(layer(value.tensor), value.positions, maker=None if shift.any() else layer)


def plus(value: Value, constant: np.ndarray) -> Value:
    """The value plus a constant of any shape that broadcasts against it.

    The constant becomes the bias of the layer that has made the value, if it can.
    """
    value = spread(value, constant)
    bias = value.laid(constant)
    if isinstance(value.maker, keras.layers.Rescaling):
        layer = keras.layers.Rescaling(value.maker.scale, bias.tolist())
        return Value(layer(value.maker.input), value.positions)
    if value.maker is not None and bias.ndim <= 1:
        value.maker.bias.assign(np.broadcast_to(bias, value.maker.bias.shape))
        return value._replace(maker=None)
    return scaled(value, 1.0, constant)


def spread(value: Value, constant: np.ndarray) -> Value:
    """The value in the shape of its sum with a constant [any shape that broadcasts against it]."""
    shape = np.broadcast_shapes(value.shape, constant.shape)
    if shape == value.shape:
        return value
    if np.prod(shape, dtype=float) == value.positions.size:
        return value._replace(positions=value.positions.reshape(shape))
    return moved(value.tensor, np.broadcast_to(value.positions, shape))


def power_beyond(scale: np.ndarray) -> np.ndarray:
    """Powers of two that bring numbers of any shape back into float32's normal range; else 1."""
    _, exponents = np.frexp(scale.astype(np.float64))
    is_beyond = (scale != 0.0) & ((exponents < LEAST_EXPONENT) | (exponents > -LEAST_EXPONENT))
    return np.where(is_beyond, np.exp2(exponents // 2), 1.0)
