"""Convolution's fast transpose is the stock one, and gradients pass through it."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.convolution import Convolution

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
    rng = np.random.default_rng(0)

    def random(*shape):
        return tf.constant(rng.standard_normal(shape), tf.float32)

    x, weights = random(2, *image, kernel[2]), random(*kernel)

    def stock(x, weights):
        return tf.nn.conv2d(x, weights, strides, padding, dilations=dilations)

    ours = Convolution(strides, padding, dilations)
    y = random(*stock(x, weights).shape)

    def results(convolve):
        """The map, its transpose at y, and the gradients of a function of both."""
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([x, weights, y])
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = convolve(x, weights)
            back = inner.gradient(value, x, output_gradients=y)
            loss = tf.reduce_sum(value**2) + tf.reduce_sum(back**2)
        return [value, back, *outer.gradient(loss, [x, weights, y])]

    for found, expected in zip(results(ours), results(stock), strict=True):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-5 * scale)
