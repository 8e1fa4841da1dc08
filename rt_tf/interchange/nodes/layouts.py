"""Keras tensors laid out anew: reshaped, transposed, cut, or taken number by number."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np

Shape = tuple[int, ...]
Strides = list[tuple[int, int]]  # (size, stride) of axes, the outermost first


def numbers(shape: Iterable[int]) -> int:
    """The number of numbers in a tensor of a shape."""
    total = 1
    for size in shape:
        total *= int(size)
    return total


def reshaped(tensor: keras.KerasTensor, shape: Sequence[int]) -> keras.KerasTensor:
    """A tensor [batch, *shape] of the same numbers in the same order."""
    shape = tuple(shape)
    if tuple(tensor.shape[1:]) == shape:
        return tensor
    layer = keras.layers.Flatten() if len(shape) == 1 else keras.layers.Reshape(shape)
    return layer(tensor)


def laid_out(tensor: keras.KerasTensor, places: np.ndarray) -> keras.KerasTensor:
    """A tensor [batch, *shape of places], with a number of the flattened tensor at each place.

    places: whole numbers; a tensor without axes becomes a vector of one. Steps that keep the
    structure of the tensor come first: bounds follow a transposition more quickly than they
    follow numbers one by one.
    """
    shape, places = places.shape or (1,), places.ravel()
    if places.size != numbers(tensor.shape[1:]):
        tensor, places = _cut(tensor, places)
    strides = _strides(places)
    if strides is not None and _is_permutation(strides, numbers(tensor.shape[1:])):
        return reshaped(_transposed(tensor, strides), shape)
    flat = reshaped(tensor, [numbers(tensor.shape[1:])])
    return reshaped(keras.ops.take(flat, places, axis=1), shape)


def _cut(tensor: keras.KerasTensor, places: np.ndarray) -> tuple[keras.KerasTensor, np.ndarray]:
    """The part of a tensor that is read, if it is a part of each axis; and the places in it."""
    shape = tuple(tensor.shape[1:])
    axes = [np.unique(at, return_inverse=True) for at in np.unravel_index(places, shape)]
    if numbers(kept.size for kept, _ in axes) != places.size:
        return tensor, places
    for axis, (kept, _) in enumerate(axes):
        if kept.size < shape[axis]:
            tensor = keras.ops.take(tensor, kept, axis=axis + 1)
    return tensor, np.ravel_multi_index([at for _, at in axes], [kept.size for kept, _ in axes])


def _strides(places: np.ndarray) -> Strides | None:
    """The axes along which places grow by a stride each, from 0 on; None if there are none."""
    strides: Strides = []
    while places.size > 1:
        stride = int(places[1] - places[0])
        differs = np.flatnonzero(np.diff(places) != stride)
        size = int(differs[0]) + 1 if differs.size else places.size
        if places.size % size:
            return None
        rows = places.reshape(-1, size)
        if not (rows == rows[:, :1] + stride * np.arange(size)).all():
            return None
        strides.insert(0, (size, stride))
        places = rows[:, 0]
    return strides if places[0] == 0 else None


def _is_permutation(strides: Strides, size: int) -> bool:
    """Whether axes go once through all places from 0 to size - 1."""
    below = 1
    for count, stride in sorted(strides, key=lambda axis: axis[1]):
        if stride != below:
            return False
        below *= count
    return below == size


def _transposed(tensor: keras.KerasTensor, strides: Strides) -> keras.KerasTensor:
    """The tensor with its numbers in the order of the axes."""
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis][1])
    if order == sorted(order):
        return tensor
    tensor = reshaped(tensor, [strides[axis][0] for axis in order])
    return keras.layers.Permute([order.index(axis) + 1 for axis in range(len(order))])(tensor)
