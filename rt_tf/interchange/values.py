"""ONNX tensors as Keras tensors: the place of each number of the one in the other.

ONNX moves values about (reshapes, transposes) and has images channels-first; here nothing moves
until an operation needs images or vectors, and weights are laid out to meet the values.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import keras
import numpy as np

from rt_tf.errors import UserError

Shape = tuple[int, ...]

MOST_NUMBERS = 2**24  # of one value between two nodes


class Value(NamedTuple):
    """An ONNX tensor of a batch of one, held in a Keras tensor.

    positions: in the ONNX tensor's shape, the place of each of its numbers in the flattened
    Keras tensor. maker: the layer that has just computed it, if a bias may still be added to
    that layer: that is as long as nothing else reads its output.
    """

    tensor: keras.KerasTensor
    positions: np.ndarray
    maker: keras.layers.Layer | None = None

    @property
    def shape(self) -> Shape:
        """The ONNX tensor's shape."""
        return self.positions.shape

    def laid(self, constant: np.ndarray) -> np.ndarray:
        """A constant that broadcasts against the ONNX tensor, in the layout of the Keras tensor.

        Without axes where it is one number, [channels] where it differs along the last axis
        alone.
        """
        flat = np.empty(self.positions.size, np.float32)
        flat[self.positions.ravel()] = np.broadcast_to(constant, self.shape).ravel()
        rows = flat.reshape(-1, self.tensor.shape[-1])
        if (flat == flat[0]).all():
            return flat[0]
        return rows[0] if (rows == rows[0]).all() else flat.reshape(self.tensor.shape[1:])

    def flat(self) -> keras.KerasTensor:
        """The Keras tensor as vectors, in which the positions stay."""
        return self.tensor if len(self.tensor.shape) == 2 else keras.layers.Flatten()(self.tensor)

    @property
    def holds_images(self) -> bool:
        """Whether the ONNX tensor is [1, channels, height, width], in the order of images here."""
        one = len(self.shape) == 4 and self.shape[0] == 1
        return one and bool((self.positions == image_positions(self.shape)).all())

    def images(self) -> keras.KerasTensor:
        """The Keras tensor, of a value that holds images, as [batch, height, width, channels]."""
        target = channels_last(self.shape)
        same = tuple(self.tensor.shape[1:]) == target
        return self.tensor if same else keras.layers.Reshape(target)(self.tensor)


def vectors(tensor: keras.KerasTensor, shape: Shape, maker: keras.layers.Layer) -> Value:
    """A Keras tensor [batch, units] as an ONNX tensor of a shape, in order."""
    return Value(tensor, np.arange(math.prod(shape)).reshape(shape), maker)


def images(tensor: keras.KerasTensor, maker: keras.layers.Layer | None = None) -> Value:
    """A Keras tensor of images as an ONNX tensor of images; UserError where they are too large."""
    height, width, channels = tensor.shape[1:]
    if numbers(tensor.shape[1:]) > MOST_NUMBERS:
        raise UserError(
            f"onnx_file: expected values of at most {MOST_NUMBERS:,} numbers; received "
            f"{channels} channels of {height} x {width}"
        )
    return Value(tensor, image_positions((1, channels, height, width)), maker)


def numbers(shape: Iterable[int]) -> int:
    """The number of numbers in a tensor of a shape."""
    return math.prod(int(size) for size in shape)


def channels_last(shape: Shape) -> Shape:
    """The Keras shape, without batch, of images of an ONNX shape."""
    _, channels, height, width = shape
    return height, width, channels


def image_positions(shape: Shape) -> np.ndarray:
    """The places, channels last, of the numbers of images [1, channels, height, width]."""
    return np.arange(math.prod(shape)).reshape(1, *channels_last(shape)).transpose(0, 3, 1, 2)
