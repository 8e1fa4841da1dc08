"""ONNX tensors as Keras tensors: the place of each number of the one in the other.

ONNX moves values about (reshapes, transposes) and has images channels-first; here nothing moves
until an operation needs its operands in an order of axes. Weights are laid out to meet the values
where they can be.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.nodes.layouts import Shape, laid_out, numbers, reshaped

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

    @property
    def axes(self) -> tuple[int, ...]:
        """The ONNX tensor's axes that are not the batch's: a first one of 1 is, if others are."""
        first = int(len(self.shape) > 1 and self.shape[0] == 1)
        return tuple(range(first, len(self.shape)))

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
        return reshaped(self.tensor, [self.positions.size])

    @property
    def order(self) -> tuple[int, ...]:
        """The ONNX axes in an order in which the Keras tensor holds them; their own if in none."""
        held = [order for order in itertools.permutations(self.axes) if self._is_held(order)]
        sizes = tuple(self.tensor.shape[1:])
        alike = [order for order in held if self._sizes(order) == sizes]
        return next(iter([*alike, *held]), self.axes)

    def arranged(self, order: Sequence[int] | None = None) -> keras.KerasTensor:
        """The numbers as [batch, *sizes of ONNX axes in an order]; by default in their own."""
        order = self.axes if order is None else order
        return laid_out(self.tensor, self._in_order(order))

    def _is_held(self, order: Sequence[int]) -> bool:
        stride = 1
        for axis in reversed(order):  # a glance, since all of the orders are tried
            if self.shape[axis] > 1 and self._stride(axis) != stride:
                return False
            stride *= self.shape[axis]
        places = self._in_order(order).ravel()
        return bool((places == np.arange(places.size)).all())

    def _stride(self, axis: int) -> int:
        first, second = np.moveaxis(self.positions, axis, 0)[:2].reshape(2, -1)[:, 0]
        return int(second - first)

    def _in_order(self, order: Sequence[int]) -> np.ndarray:
        others = [axis for axis in range(len(self.shape)) if axis not in order]
        return self.positions.transpose(*others, *order).reshape(self._sizes(order))

    def _sizes(self, order: Sequence[int]) -> Shape:
        return tuple(self.shape[axis] for axis in order)


def moved(tensor: keras.KerasTensor, positions: np.ndarray) -> Value:
    """The value with positions of any shape in a tensor; a part, or what repeats, is made anew."""
    if positions.size == numbers(tensor.shape[1:]) and _is_once(positions):
        return Value(tensor, positions)
    check_size(positions.shape)
    has_batch = positions.ndim > 1 and positions.shape[0] == 1
    places = positions[0] if has_batch else positions
    return vectors(laid_out(tensor, places), positions.shape)


def taken(value: Value, places: Mapping[int, np.ndarray]) -> Value:
    """The value with other places along some ONNX axes: [new size] places of each from 0 on."""
    order, tensor = value.order, value.arranged(value.order)
    shape = list(value.shape)
    for axis, chosen in places.items():
        shape[axis] = len(chosen)
        check_size(shape)
        tensor = keras.ops.take(tensor, chosen, axis=order.index(axis) + 1)
    return placed(tensor, tuple(shape), order)


def vectors(
    tensor: keras.KerasTensor, shape: Shape, maker: keras.layers.Layer | None = None
) -> Value:
    """A Keras tensor as an ONNX tensor of a shape, with its numbers in order."""
    return Value(tensor, np.arange(numbers(shape)).reshape(shape), maker)


def placed(
    tensor: keras.KerasTensor,
    shape: Shape,
    order: Sequence[int],
    maker: keras.layers.Layer | None = None,
) -> Value:
    """A Keras tensor [batch, *sizes of ONNX axes in an order] as an ONNX tensor of a shape.

    UserError where it is too large.
    """
    check_size(shape)
    others = [axis for axis in range(len(shape)) if axis not in order]
    whole = [*others, *order]
    places = np.arange(numbers(shape)).reshape([shape[axis] for axis in whole])
    return Value(tensor, places.transpose(np.argsort(whole)), maker)


def check_size(shape: Sequence[int]) -> None:
    """Raises UserError for a value of more numbers than any network's."""
    if numbers(shape) > MOST_NUMBERS:
        raise UserError(
            f"onnx_file: expected values of at most {MOST_NUMBERS:,} numbers; received one of "
            f"shape {list(shape)}"
        )


def channels_last(shape: Shape) -> tuple[int, ...]:
    """The axes of an ONNX shape [1, channels, ...] without the batch's, channels last."""
    return (*range(2, len(shape)), 1)


def _is_once(positions: np.ndarray) -> bool:
    """Whether no position is there twice."""
    counts = np.bincount(positions.ravel(), minlength=positions.size)
    return bool((counts == 1).all())
