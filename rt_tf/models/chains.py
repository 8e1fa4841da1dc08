"""Networks whose layers follow each other."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Unpack

import keras

from rt_tf import layers
from rt_tf.errors import UserError
from rt_tf.models.parts import Options, Parts, Shape, check_shape


class Conv(NamedTuple):
    """A convolution with a ReLU; 4x4 with stride 2 pads one pixel on every side."""

    filters: int
    kernel: int
    stride: int = 1


class Pool(NamedTuple):
    """A maximum over squares of size x size pixels."""

    size: int


class Fc(NamedTuple):
    """A dense layer with a ReLU."""

    units: int


Block = Conv | Pool | Fc


def wong_small(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wong & Kolter's small network: 4,804 hidden units on MNIST."""
    blocks = (Conv(16, 4, 2), Conv(32, 4, 2), Fc(100))
    return chain("wong_small", blocks, input_shape, classes, **options)


def wong_large(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wong & Kolter's large network: 1,974,762 parameters, 48,064 hidden units on MNIST."""
    blocks = (Conv(32, 3), Conv(32, 4, 2), Conv(64, 3), Conv(64, 4, 2), Fc(512), Fc(512))
    return chain("wong_large", blocks, input_shape, classes, **options)


def wong_wide(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wide(k) of Wong 2020 (thesis), table 3.6, with the strides of the small network. k: scale."""
    k = _whole("wong_wide", options.pop("scale", 1.0))
    blocks = (Conv(4 * k, 4, 2), Conv(8 * k, 4, 2), Fc(128 * k))
    return chain("wong_wide", blocks, input_shape, classes, **options)


def wong_deep(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """The network Deep(k) of Wong 2020 (thesis), table 3.6. k: scale.

    k convolutions of 8 filters, k of 16, and the small network's fc 100. The first of each k
    halves the image, like the small network's; the thesis does not say. UserError for a k that
    is not whole.
    """
    k = _whole("wong_deep", options.pop("scale", 1.0))
    groups = [
        block
        for filters in (8, 16)
        for block in (Conv(filters, 4, 2), *[Conv(filters, 3)] * (k - 1))
    ]
    return chain("wong_deep", (*groups, Fc(100)), input_shape, classes, **options)


def mixtrain_fc1(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """MixTrain's FC1: two dense layers of 512 units."""
    return chain("mixtrain_fc1", (Fc(512),) * 2, input_shape, classes, **options)


def mixtrain_fc2(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """MixTrain's FC2: five dense layers of 2,048 units."""
    return chain("mixtrain_fc2", (Fc(2048),) * 5, input_shape, classes, **options)


def colt(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """COLT's network for 2/255 (Balunovic & Vechev 2020): 16,534 hidden units on CIFAR-10."""
    blocks = (Conv(32, 4, 2), Conv(128, 4, 2), Fc(150))
    return chain("colt", blocks, input_shape, classes, **options)


def cnn7(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """The field's usual network for certified training (Shi et al. 2021), best with batch_norm."""
    blocks = (Conv(64, 3), Conv(64, 3), Conv(128, 3, 2), Conv(128, 3), Conv(128, 3), Fc(512))
    return chain("cnn7", blocks, input_shape, classes, **options)


def madry_cnn(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Madry et al.'s network for MNIST."""
    blocks = (Conv(32, 5), Pool(2), Conv(64, 5), Pool(2), Fc(1024))
    return chain("madry_cnn", blocks, input_shape, classes, **options)


def digits_cnn(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """A small network for 8x8 images: 1,636 hidden units."""
    blocks = (Conv(16, 3), Conv(32, 4, 2), Fc(100))
    return chain("digits_cnn", blocks, input_shape, classes, **options)


def digits_fc(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Two dense layers of 100 units."""
    return chain("digits_fc", (Fc(100),) * 2, input_shape, classes, **options)


def table_fc(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Two dense layers of 64 units, for tables."""
    return chain("table_fc", (Fc(64),) * 2, input_shape, classes, **options)


def points_fc(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Four dense layers of 100 units, for points in the plane (Wong 2020, thesis, section 3.2)."""
    return chain("points_fc", (Fc(100),) * 4, input_shape, classes, **options)


def chain(
    name: str,
    blocks: Sequence[Block],
    input_shape: Shape,
    classes: int,
    **options: Unpack[Options],
) -> keras.Model:
    """A network of blocks numbered from 1, flattened before the first dense layer."""
    if not all(isinstance(block, Fc) for block in blocks):
        check_shape(name, input_shape, math.prod(_shrinkage(block) for block in blocks))
    parts = Parts(**options)
    image, x = parts.image(input_shape)
    for number, block in enumerate(blocks, start=1):
        if isinstance(block, Pool):
            x = layers.MaxPooling2D(block.size, name=f"pool{number}")(x)
        else:
            x = parts.active(_weighted(parts, x, block, number), number)
    return parts.model(name, image, x, classes)


def _weighted(
    parts: Parts, x: keras.KerasTensor, block: Conv | Fc, number: int
) -> keras.KerasTensor:
    if isinstance(block, Fc):
        return parts.dense(x, block.units, f"fc{number}")
    return parts.conv(x, *block, name=f"conv{number}")


def _whole(name: str, scale: float) -> int:
    """The k of a family of networks; UserError for other numbers."""
    if scale != round(scale):
        raise UserError(f"model_scale: expected a whole number for {name}; received {scale:g}")
    return round(scale)


def _shrinkage(block: Block) -> int:
    if isinstance(block, Conv):
        return block.stride
    return block.size if isinstance(block, Pool) else 1
