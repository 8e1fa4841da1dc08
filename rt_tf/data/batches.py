"""Batches of a split: a pure function of (seed, epoch), so that training can resume anywhere."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.data.augment import crop, cut_out, draws, flip_and_crop
from rt_tf.data.extra import Extra
from rt_tf.data.split import Split
from rt_tf.domain import UNIT
from rt_tf.errors import UserError

CONVERTED_AT_ONCE = 2**22  # values: an epoch below this size needs no function traced for it
PREFETCH = 4

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class AugmentationOptions(NamedTuple):
    """Changes of training images. augment: whether to use the data set's own change, if it has one.

    cutout: the side of a square that is blackened, in pixels; 0 for none. flips: whether the data
    set's change may mirror images.
    """

    augment: bool = False
    cutout: int = 0
    flips: bool = True

    def of(self, split: Split) -> list[Change]:
        """The changes: functions of images and of each example's own random numbers."""
        changes: list[Change] = []
        if self.augment and split.augmentation is not None:
            mirrors = split.augmentation is flip_and_crop
            changes.append(crop if mirrors and not self.flips else split.augmentation)
        if self.cutout:
            changes.append(lambda images, numbers: cut_out(images, numbers, self.cutout))
        return changes


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of n examples in an epoch: a permutation, int64 [n]."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def steps(split: Split, batch_size: int, extra: Extra | None = None) -> int:
    """The number of batches of an epoch: a pass over the split, joined by further examples."""
    return len(split) // (batch_size - (extra.count(batch_size) if extra else 0))


def batches(
    split: Split,
    batch_size: int,
    seed: int,
    epoch: int,
    skip: int = 0,
    options: AugmentationOptions = AugmentationOptions(),  # noqa: B008 - immutable
    extra: Extra | None = None,
) -> tf.data.Dataset:
    """One epoch: (images float32 [b, h, w, c], labels int64 [b], index int64 [b]).

    The last examples that fill no batch are left out, and so are the first `skip` batches.
    UserError for a batch_size above the number of examples.
    """
    count = steps(split, batch_size, extra)
    if count == 0:
        raise UserError(
            f"batch_size: expected at most {len(split)}, the examples of the {split.name} split; "
            f"received {batch_size}"
        )
    added = extra.count(batch_size) if extra else 0
    ids = order(seed, epoch, len(split))[: count * (batch_size - added)].reshape(count, -1)[skip:]
    dataset = _gathered(split, ids, seed, epoch, options)
    if extra and added:
        others = _passes(seed, epoch, len(extra.split), count * added).reshape(count, -1)[skip:]
        further = _gathered(extra.split, others, seed, epoch, options)
        places = tf.data.Dataset.from_tensor_slices(_places(seed, epoch, count, batch_size)[skip:])
        dataset = tf.data.Dataset.zip(dataset, further, places).map(_join)
    return dataset.with_options(_options()).prefetch(PREFETCH)


def _gathered(
    split: Split, ids: np.ndarray, seed: int, epoch: int, options: AugmentationOptions
) -> tf.data.Dataset:
    """The examples at positions `ids` [steps, b], a batch for each row."""
    changes = options.of(split)
    if changes or split.rows.size > CONVERTED_AT_ONCE:
        rows = split.index.max() + 1
        tables = [draws(seed, epoch, rows, kind) for kind in range(len(changes))]
        gather = _gather(split, list(zip(changes, tables, strict=True)))
        batches = tf.data.Dataset.from_tensor_slices(ids)
        return batches.map(gather, num_parallel_calls=os.cpu_count(), deterministic=True)
    epoch_arrays = (split.images(ids), split.labels[ids], split.index[ids])
    return tf.data.Dataset.from_tensor_slices(epoch_arrays)


def _gather(split: Split, changes: list[tuple[Change, np.ndarray]]) -> Callable[[tf.Tensor], Batch]:
    """A function from positions in the split to a batch. changes: with their random numbers."""
    labels, index, *_ = split.tensors
    read = _reader(split)
    scaled = _scaled(split)
    with tf.device("/cpu:0"):
        tables = [tf.constant(numbers) for _, numbers in changes]

    def gather(ids: tf.Tensor) -> Batch:
        images = read(ids)
        positions = tf.gather(index, ids)
        for (change, _), table in zip(changes, tables, strict=True):
            images = change(images, tf.gather(table, positions))
        return scaled(images), tf.gather(labels, ids), positions

    return gather


def _scaled(split: Split) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from rows to the numbers that networks read, equal to `Split.images`."""
    if split.pixel_max is None:
        return lambda rows: tf.cast(rows, tf.float32)
    # Tensors from outside the traced function: division by a constant inside it may be rewritten
    # as multiplication, which rounds otherwise.
    with tf.device("/cpu:0"):
        pixel_max = tf.constant(split.pixel_max, tf.float32)
        scale, offset = (tf.constant(number, tf.float64) for number in split.scaling)
    if split.domain is UNIT:
        return lambda pixels: tf.cast(pixels, tf.float32) / pixel_max
    return lambda pixels: tf.cast(tf.cast(pixels, tf.float64) * scale + offset, tf.float32)


def _reader(split: Split) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from positions in the split to its rows, in memory or not."""
    if isinstance(split.rows, np.ndarray):
        rows = split.tensors[-1]
        return lambda ids: tf.gather(rows, ids)

    def read(ids: tf.Tensor) -> tf.Tensor:
        rows = tf.numpy_function(lambda places: split.rows[places], [ids], split.rows.dtype)
        return tf.ensure_shape(rows, [*ids.shape, *split.rows.shape[1:]])

    return read


def _passes(seed: int, epoch: int, n: int, count: int) -> np.ndarray:
    """`count` positions out of n, by as many random passes over them as that takes."""
    generator = np.random.default_rng([seed, epoch, 2])
    return np.concatenate([generator.permutation(n) for _ in range(-(-count // n))])[:count]


def _places(seed: int, epoch: int, count: int, batch_size: int) -> np.ndarray:
    """Random orders of the examples of `count` batches: [count, batch_size]."""
    generator = np.random.default_rng([seed, epoch, 3])
    return generator.permuted(np.tile(np.arange(batch_size), (count, 1)), axis=1)


def _join(own: Batch, further: Batch, places: tf.Tensor) -> Batch:
    """The own and further examples as one batch, shuffled, so that any part of it has both."""
    images, labels, index = (
        tf.gather(tf.concat(pair, axis=0), places) for pair in zip(own, further, strict=True)
    )
    return images, labels, index


def _options() -> tf.data.Options:
    """Options for so short a pipeline: nothing is tuned; workers share batches, not files."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
