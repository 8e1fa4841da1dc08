"""Augmentations: functions of a batch of images and of each example's own random numbers."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
DRAWS = 3  # random numbers for each example and epoch


def draws(seed: int, epoch: int, n: int, kind: int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1), [n, DRAWS]; row i depends on (seed, epoch, i) alone, not on n.

    kind: the number of the augmentation, each of which has numbers of its own.
    """
    key = [seed, epoch, 1, kind] if kind else [seed, epoch, 1]
    return np.random.default_rng(key).random((n, DRAWS))


def flip_and_crop(images: tf.Tensor, draws: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Half of the images mirrored, each moved by up to `padding` pixels, with zeros outside.

    images: [batch, h, w, c], like the result. draws: [batch, 3], for the mirroring, the row and
    the column.
    """
    return _moved(images, draws[:, 1:], padding, mirrored=draws[:, :1] < 0.5)


def crop(images: tf.Tensor, draws: tf.Tensor, padding: int = 4) -> tf.Tensor:
    """Images moved by up to `padding` pixels each, with zeros outside: for digits in street views.

    images: [batch, h, w, c], like the result. draws: [batch, 3], the last two for the row and
    the column.
    """
    return _moved(images, draws[:, 1:], padding, mirrored=tf.zeros_like(draws[:, :1], tf.bool))


def cut_out(images: tf.Tensor, draws: tf.Tensor, side: int) -> tf.Tensor:
    """Images with a square blackened in each, cut at the edges (DeVries & Taylor 2017).

    images: [batch, h, w, c], like the result. draws: [batch, 3], the first two for the square's
    centre.
    """
    rows, columns = (
        _outside(draws[:, k], images.shape[k + 1], side) for k in range(2)
    )  # [batch, h], [batch, w]
    outside = rows[:, :, tf.newaxis] | columns[:, tf.newaxis, :]
    return images * tf.cast(outside, images.dtype)[..., tf.newaxis]


def _outside(draw: tf.Tensor, length: int, side: int) -> tf.Tensor:
    """A mask of the places along an axis outside of `side` places around a random one."""
    first = tf.cast(draw * length, tf.int32)[:, tf.newaxis] - side // 2
    places = tf.range(length)[tf.newaxis, :]
    return (places < first) | (places >= first + side)


def _moved(images: tf.Tensor, draws: tf.Tensor, padding: int, mirrored: tf.Tensor) -> tf.Tensor:
    height, width = images.shape[1:3]
    offsets = tf.cast(draws * (2 * padding + 1), tf.int32)  # [batch, 2]
    rows = offsets[:, :1] + tf.range(height)  # [batch, h]
    columns = offsets[:, 1:] + tf.range(width)
    columns = tf.where(mirrored, columns[:, ::-1], columns)
    margin = [padding, padding]
    padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
