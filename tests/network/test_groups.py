"""Grouped and depthwise convolutions are convolutions with a block-diagonal kernel."""

import numpy as np
import pytest
import tensorflow as tf
from bilinear import check, random

from rt_tf.network.maps.convolution import Convolution
from rt_tf.network.maps.groups import DepthwiseConvolution, grouped


def blocks(kernel, groups):
    """[r, c, channels of a group, filters] -> [r, c, channels, filters], zero between groups."""
    zeros = [tf.zeros_like(part) for part in tf.split(kernel, groups, axis=-1)]
    rows = [
        tf.concat([*zeros[:k], part, *zeros[k + 1 :]], axis=-1)
        for k, part in enumerate(tf.split(kernel, groups, axis=-1))
    ]
    return tf.concat(rows, axis=2)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1)])
def test_grouped_convolutions(groups, strides, padding):
    convolve = Convolution(strides, padding, (1, 1))

    def stock(x, kernel):
        return tf.nn.conv2d(x, blocks(kernel, groups), strides, padding)

    check(grouped(convolve, groups), stock, random(2, 6, 5, 4), random(3, 2, 4 // groups, 8))


# A convolution in TensorFlow is strided or dilated, so the stock one is subsampled by hand.
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1), (3, 2)])
def test_depthwise_convolutions(strides, dilations, padding):
    reach = [(k - 1) * d + 1 for k, d in zip((3, 2), dilations, strict=True)]

    def stock(x, kernel):
        around = [[0, 0], [0, 0]]
        if padding == "same":
            for axis, (stride, size) in enumerate(zip(strides, reach, strict=True)):
                length = x.shape[1 + axis]
                missing = max((-(-length // stride) - 1) * stride + size - length, 0)
                around[axis] = [missing // 2, missing - missing // 2]
        x = tf.pad(x, [[0, 0], *around, [0, 0]])
        channels = kernel.shape[2]
        side_by_side = tf.reshape(kernel, [*kernel.shape[:2], 1, -1])
        dense = blocks(side_by_side, channels)
        y = tf.nn.conv2d(x, dense, 1, "VALID", dilations=dilations)
        return y[:, :: strides[0], :: strides[1]]

    ours = DepthwiseConvolution(strides, padding, dilations)
    check(ours, stock, random(2, 7, 6, 3), random(3, 2, 3, 2))


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_depthwise_convolutions_of_batches_of_unknown_size_have_a_shape(strides, dilation):
    ours = DepthwiseConvolution((strides, strides), "same", (dilation, dilation))

    @tf.function(input_signature=[tf.TensorSpec([None, 7, 6, 3])])
    def convolve(x):
        y = ours(x, random(3, 2, 3, 2))
        assert y.shape[1:] == (-(-7 // strides), -(-6 // strides), 6)
        return y

    x = random(2, 7, 6, 3)
    np.testing.assert_allclose(convolve(x), ours(x, random(3, 2, 3, 2)), rtol=0.0, atol=1e-5)
