"""Augmentations: functions of a batch of images and of each example's own random numbers."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
DRAWS = 3  # random numbers for each example and epoch


def draws(seed: int, epoch: int, n: int) -> np.ndarray:
    """Uniform numbers in [0, 1), [n, DRAWS]; row i depends on (seed, epoch, i) alone, not on n."""
    return np.random.default_rng([seed, epoch, 1]).random((n, DRAWS))


def flip_and_crop(images: tf.Tensor, draws: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Mirrors half of the images and moves each by up to `padding` pixels, with zeros outside.

    images: [batch, h, w, c]. draws: [batch, 3], for the mirroring, the row and the column.
    """
    height, width = images.shape[1:3]
    offsets = tf.cast(draws[:, 1:] * (2 * padding + 1), tf.int32)  # [batch, 2]
    rows = offsets[:, :1] + tf.range(height)  # [batch, h]
    columns = offsets[:, 1:] + tf.range(width)
    columns = tf.where(draws[:, :1] < 0.5, columns[:, ::-1], columns)
    margin = [padding, padding]
    padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
