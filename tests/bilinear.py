"""Whether two bilinear maps (value, kernel) are one: the maps, their transposes, all gradients."""

import numpy as np
import tensorflow as tf


def random(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).standard_normal(shape), tf.float32)


def results(convolve, x, kernel, upstream):
    """The map, its transpose, and the gradients of a function of both."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch([x, kernel, upstream])
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = convolve(x, kernel)
        back = inner.gradient(value, x, output_gradients=upstream)
        loss = tf.reduce_sum(value**2) + tf.reduce_sum(back**2)
    return [value, back, *outer.gradient(loss, [x, kernel, upstream])]


def check(ours, stock, x, kernel):
    upstream = random(*ours(x, kernel).shape)
    pairs = zip(*(results(f, x, kernel, upstream) for f in (ours, stock)), strict=True)
    for actual, expected in pairs:
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-5 * scale)
