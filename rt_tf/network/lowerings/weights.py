"""Weights of layers as tensors, and products with a kernel and a bias."""

from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.network.ops import Affine, Tensor, Window


def value(variable: keras.Variable) -> Tensor:
    """A weight in float32, whatever the layer's policy, of any shape."""
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def bias_of(layer: keras.layers.Layer, filters: int) -> Tensor:
    """A layer's bias, or zeros: [filters]."""
    return value(layer.bias) if layer.use_bias else tf.zeros([filters])


def product(
    fn: Callable[[Tensor, Tensor], Tensor],
    kernel: Tensor,
    bias: Tensor | None,
    terms: tuple[int, int],
    window: Window | None = None,
) -> Affine:
    """The product with a kernel of any shape, plus a bias that broadcasts against its outputs.

    terms: the most products that an output is the sum of, and an input takes part in.
    """
    offsets = tf.zeros([]) if bias is None else bias
    return Affine(fn, kernel, offsets, *terms, tf.abs(offsets), window)
