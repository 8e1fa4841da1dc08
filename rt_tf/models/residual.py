"""Networks with skip connections."""

import dataclasses
from typing import Unpack

import keras

from rt_tf import layers
from rt_tf.models.parts import Options, Parts, Shape, check_shape


def wong_resnet(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wong et al.'s residual network: 4,214,850 parameters, 107,496 hidden units on CIFAR-10.

    Source: Wong 2020 (thesis), section 3.5.
    """
    check_shape("wong_resnet", input_shape, 4)
    parts = Parts(**options)
    image, x = parts.image(input_shape)
    x = parts.active(parts.conv(x, 16, 3))
    for filters, stride in ((16, 1), (16, 1), (32, 2), (64, 2)):
        inner = parts.active(parts.conv(x, filters, 3 if stride == 1 else 4, stride))
        inner = parts.conv(inner, filters, 3)
        skipped = parts.conv(x, filters, stride, stride)
        x = parts.active(layers.Add()([inner, skipped]))
    x = parts.active(parts.dense(x, 1000, "fc"))
    return parts.model("wong_resnet", image, x, classes)


def preact_resnet18(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """PreActResNet18 for images of 32x32 (He et al. 2016): 11,172,170 trained parameters.

    It has batch normalisation whatever the options say.
    """
    stages = ((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2))
    return _preact("preact_resnet18", 64, stages, input_shape, classes, **options)


def wrn_28_10(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """WideResNet-28-10 for 32x32 (Zagoruyko & Komodakis 2016): 36,479,194 trained parameters.

    It has batch normalisation whatever the options say.
    """
    stages = ((160, 4, 1), (320, 4, 2), (640, 4, 2))
    return _preact("wrn_28_10", 16, stages, input_shape, classes, **options)


def resnet50(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """ResNet-50 (He et al. 2016): 25,557,032 trained parameters for 1,000 classes.

    It has batch normalisation whatever the options say.
    """
    check_shape("resnet50", input_shape, 32)
    parts = dataclasses.replace(Parts(**options), batch_norm=True)
    image, x = parts.image(input_shape)
    x = parts.active(parts.conv(x, 64, 7, 2, bias=False))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))  # of values >= 0
    for filters, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            x = _bottleneck(parts, x, filters, stride if block == 0 else 1, widens=block == 0)
    return parts.model("resnet50", image, layers.GlobalAveragePooling2D()(x), classes)


def _preact(
    name: str,
    stem: int,
    stages: tuple[tuple[int, int, int], ...],
    input_shape: Shape,
    classes: int,
    **options: Unpack[Options],
) -> keras.Model:
    """A pre-activation network. stages: filters, blocks and the first block's stride of each."""
    check_shape(name, input_shape, 2 ** sum(stride == 2 for _, _, stride in stages))
    parts = dataclasses.replace(Parts(**options), batch_norm=True)
    image, x = parts.image(input_shape)
    x = parts.conv(x, stem, 3, bias=False)
    for filters, blocks, stride in stages:
        for block in range(blocks):
            x = _preact_block(parts, x, filters, stride if block == 0 else 1)
    x = layers.GlobalAveragePooling2D()(parts.active(x))
    return parts.model(name, image, x, classes)


def _preact_block(
    parts: Parts, x: keras.KerasTensor, filters: int, stride: int
) -> keras.KerasTensor:
    ready = parts.active(x)
    same = stride == 1 and x.shape[-1] == parts.width(filters)
    skipped = x if same else parts.conv(ready, filters, 1, stride, bias=False)
    inner = parts.active(parts.conv(ready, filters, 3, stride, bias=False))
    return layers.Add()([parts.conv(inner, filters, 3, bias=False), skipped])


def _bottleneck(
    parts: Parts, x: keras.KerasTensor, filters: int, stride: int, widens: bool
) -> keras.KerasTensor:
    inner = parts.active(parts.conv(x, filters, 1, bias=False))
    inner = parts.active(parts.conv(inner, filters, 3, stride, bias=False))
    inner = layers.BatchNormalization()(parts.conv(inner, 4 * filters, 1, bias=False))
    skipped = x
    if widens:
        skipped = parts.conv(x, 4 * filters, 1, stride, bias=False)
        skipped = layers.BatchNormalization()(skipped)
    return layers.ReLU()(layers.Add()([inner, skipped]))
