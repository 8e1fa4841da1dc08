"""Convolution's fast transpose is the stock one, and gradients pass through it."""

import numpy as np
import pytest
import tensorflow as tf
from bilinear import check, random

from rt_tf.network.maps.convolution import Convolution

# strides, padding, dilations, kernel [rows, columns, channels, filters], image [height, width]
SHAPES = [
    ((1, 1), "SAME", (1, 1), (3, 3, 2, 4), (5, 6)),
    ((1, 1), "SAME", (2, 2), (3, 3, 2, 3), (6, 5)),
    ((2, 2), "SAME", (1, 1), (4, 4, 1, 3), (8, 8)),
    ((2, 2), "SAME", (1, 1), (4, 4, 3, 2), (7, 9)),
    ((2, 2), "SAME", (1, 1), (3, 5, 2, 3), (6, 7)),
    ((2, 2), "SAME", (1, 1), (1, 1, 2, 3), (5, 6)),
    ((2, 2), "VALID", (1, 1), (4, 3, 1, 3), (9, 8)),
    ((3, 3), "VALID", (1, 1), (2, 2, 2, 3), (10, 11)),
    ((3, 3), "SAME", (1, 1), (4, 4, 2, 3), (10, 11)),
    ((2, 2), "SAME", (1, 1), (4, 4, 5, 2), (8, 8)),  # too many channels for the fast way
    ((1, 1), "SAME", (1, 1), (3, 3, 1, 4), (9, 7)),
    ((1, 1), "VALID", (1, 1), (2, 5, 3, 4), (9, 7)),
    ((2, 2), "SAME", (1, 1), (5, 3, 1, 4), (13, 10)),
    ((4, 4), "SAME", (1, 1), (6, 3, 1, 4), (13, 10)),
    ((2, 1), "SAME", (1, 1), (3, 3, 2, 3), (6, 7)),
]


@pytest.mark.parametrize(("strides", "padding", "dilations", "kernel", "image"), SHAPES)
def test_convolution_its_transpose_and_their_gradients(strides, padding, dilations, kernel, image):
    def stock(x, weights):
        return tf.nn.conv2d(x, weights, strides, padding, dilations=dilations)

    ours = Convolution(strides, padding, dilations)
    check(ours, stock, random(2, *image, kernel[2]), random(*kernel))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_gradient_of_one_strided_tap_reads_every_second_pixel(padding: str) -> None:
    """The stock operation writes beyond its memory here, and ends the process."""
    x, kernel, upstream = random(9, 16, 16, 8), random(1, 1, 8, 16), random(9, 8, 8, 16)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = Convolution((2, 2), padding, (1, 1))(x, kernel)
    gradient = tape.gradient(y, kernel, upstream)
    expected = np.einsum("bhwc,bhwf->cf", x.numpy()[:, ::2, ::2], upstream.numpy())
    np.testing.assert_allclose(gradient[0, 0], expected, rtol=1e-4, atol=1e-4)
