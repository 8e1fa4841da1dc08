"""Images of another size, by interpolation along their rows and along their columns.

The weights are those of the very function that Keras uses, for images of one pixel each.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from rt_tf.network.lowerings.shapes import crop, up_sampling
from rt_tf.network.lowerings.weights import product
from rt_tf.network.maps.along import Along
from rt_tf.network.maps.positive import Interpolation, ZerosAround
from rt_tf.network.ops import Affine, Positive
from rt_tf.network.steps import Call, Step

Size: TypeAlias = tuple[int, int]  # rows, columns


def up_sampling_2d(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of images that are larger by whole factors, by any interpolation."""
    if layer.interpolation == "nearest":
        return up_sampling(layer, call)
    height, width, _ = call.input_shapes[0]
    target = height * layer.size[0], width * layer.size[1]
    return _interpolated([], (height, width), target, layer.interpolation)


def resizing(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of images of a given size, which may be cropped or padded to its shape first."""
    height, width, _ = call.input_shapes[0]
    size, target = (height, width), (layer.height, layer.width)
    steps: list[Step] = []
    if layer.crop_to_aspect_ratio:
        size, steps = _cropped(size, _of_shape(size, target, min))
    elif layer.pad_to_aspect_ratio:
        size, steps = _padded(size, _of_shape(size, target, max), layer.fill_value)
    return _interpolated(steps, size, target, layer.interpolation, layer.antialias)


def center_crop(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the middle of images; smaller ones are cropped to its shape, and resized."""
    height, width, _ = call.input_shapes[0]
    size, target = (height, width), (layer.height, layer.width)
    if height >= layer.height and width >= layer.width:
        return _cropped(size, target)[1]
    size, steps = _cropped(size, _of_shape(size, target, min))
    return _interpolated(steps, size, target, "bilinear")


def _of_shape(size: Size, target: Size, choose: Callable[[int, int], int]) -> Size:
    """The size with the target's aspect ratio, by fewer or by more pixels along one axis."""
    rows = int(np.float32(size[1] * target[0]) / np.float32(target[1]))
    columns = int(np.float32(size[0] * target[1]) / np.float32(target[0]))
    return max(1, choose(size[0], rows)), max(1, choose(size[1], columns))


def _cropped(size: Size, target: Size) -> tuple[Size, list[Step]]:
    """The step to the middle of images, and the size that they have after it."""
    if size == target:
        return size, []
    firsts = [(length - left) // 2 for length, left in zip(size, target, strict=True)]
    spans = [(first, first + left) for first, left in zip(firsts, target, strict=True)]
    return target, [crop(spans)]


def _padded(size: Size, target: Size, fill: float) -> tuple[Size, list[Step]]:
    """The steps to images with a frame of a number, and the size that they have after it."""
    frames = [(whole - length) // 2 for length, whole in zip(size, target, strict=True)]
    paddings = tuple((frame, frame) for frame in (0, *frames, 0))
    outside = fill * (1.0 - np.pad(np.ones((*size, 1), np.float32), paddings[1:]))
    bias = tf.constant(outside, tf.float32)
    after = size[0] + 2 * frames[0], size[1] + 2 * frames[1]
    filled = Affine(tf.multiply, tf.constant(1.0), bias, 1, 1, tf.abs(bias))
    return after, [Step(Positive(ZerosAround(paddings))), Step(filled, (1,))]


def _interpolated(
    steps: list[Step], size: Size, target: Size, interpolation: str, antialias: bool = False
) -> list[Step]:
    """The steps and then, along either axis whose length changes, a product with weights."""
    steps = list(steps)
    for axis in (0, 1):
        if size[axis] != target[axis]:
            weights = _weights(size[axis], target[axis], interpolation, antialias)
            steps.append(Step(_along(axis + 1, weights, interpolation), (len(steps),)))
    return steps


def _along(axis: int, weights: np.ndarray, interpolation: str) -> Affine | Positive:
    """The product of weights [inputs, outputs] with the values along an axis."""
    reads = weights != 0.0
    summed, uses = int(reads.sum(axis=0).max()), int(reads.sum(axis=1).max())
    if (weights < 0.0).any():
        return product(Along(axis), tf.constant(weights), None, (summed + 4, uses + 4))
    weighted = Interpolation(Along(axis), weights)
    if interpolation == "nearest":
        return Positive(weighted, max(summed, uses))
    # A weight w is applied as a + w (b - a), and errs by some units of rounding of the place, at
    # most its axis's length: for every value that is read this is a share of its whole size.
    return Positive(weighted, max(summed, uses) + 4 + 2 * len(weights), magnitude=weighted.read)


@functools.cache
def _weights(size: int, target: int, interpolation: str, antialias: bool) -> np.ndarray:
    """The weights of an interpolation along an axis, [size, target]."""
    with tf.init_scope():  # numbers, also where a function is being traced
        pixels = tf.eye(size)[:, :, tf.newaxis, tf.newaxis]
        images = tf.image.resize(pixels, (target, 1), interpolation, antialias=antialias)
        return images.numpy().reshape(size, target)
