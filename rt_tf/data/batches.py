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

EXTRA = 2  # the kind of the random numbers for the order of further examples
PLACES = 3  # and for their places in a batch
Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Replicas(NamedTuple):
    """The replicas that read here, of all that share a batch.

    first: the number of the first one here. here: how many these are. total: how many all are.
    """

    first: int = 0
    here: int = 1
    total: int = 1

    def rows(self, batches: np.ndarray) -> np.ndarray:
        """The rows of batches, [steps, b], that are read here: a row for each replica and step."""
        each = batches.shape[1] // self.total
        parts = batches.reshape(len(batches), self.total, each)[:, self.first :][:, : self.here]
        return parts.reshape(len(batches) * self.here, each)


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
    replicas: Replicas = Replicas(),  # noqa: B008 - immutable
) -> tf.data.Dataset:
    """One epoch: (images float32 [b, h, w, c], labels int64 [b], index int64 [b]).

    The last examples that fill no batch are left out, and so are the first `skip` batches.
    replicas: each is given its part of a batch, one after the other; only the rows of those here
    are read. UserError for a batch_size above the number of examples.
    """
    count = steps(split, batch_size, extra)
    if count == 0:
        raise UserError(
            f"batch_size: expected at most {len(split)}, the examples of the {split.name} split; "
            f"received {batch_size}"
        )
    added = extra.count(batch_size) if extra else 0
    ids = order(seed, epoch, len(split))[: count * (batch_size - added)].reshape(count, -1)[skip:]
    if extra and added:
        others = _passes(seed, epoch, len(extra.split), count * added).reshape(count, -1)[skip:]
        places = _places(seed, epoch, count, batch_size)[skip:]
        both = np.take_along_axis(np.hstack([ids, len(split) + others]), places, axis=1)
        dataset = _of_both(split, extra.split, replicas.rows(both), seed, epoch, options)
    else:
        dataset = _gathered(split, replicas.rows(ids), seed, epoch, options)
    return dataset.with_options(_options()).prefetch(PREFETCH)


def _gathered(
    split: Split, ids: np.ndarray, seed: int, epoch: int, options: AugmentationOptions
) -> tf.data.Dataset:
    """The examples at positions `ids` [steps, b], a batch for each row."""
    changes = options.of(split)
    if changes or split.rows.size > CONVERTED_AT_ONCE:
        return _mapped(ids, _gather(split, seed, epoch, options))
    epoch_arrays = (split.images(ids), split.labels[ids], split.index[ids])
    return tf.data.Dataset.from_tensor_slices(epoch_arrays)


def _of_both(
    split: Split, extra: Split, ids: np.ndarray, seed: int, epoch: int, options: AugmentationOptions
) -> tf.data.Dataset:
    """The examples at positions `ids` [steps, b] of a split with a further one behind it."""
    own, further = (_gather(part, seed, epoch, options) for part in (split, extra))

    def gather(ids: tf.Tensor) -> Batch:
        is_own = ids < len(split)
        places = [tf.cast(tf.where(kind)[:, 0], tf.int32) for kind in (is_own, ~is_own)]
        parts = own(ids[is_own]), further(ids[~is_own] - len(split))
        columns = [tf.dynamic_stitch(places, pair) for pair in zip(*parts, strict=True)]
        images, labels, index = (tf.ensure_shape(c, [*ids.shape, *c.shape[1:]]) for c in columns)
        return images, labels, index

    return _mapped(ids, gather)


def _mapped(ids: np.ndarray, gather: Callable[[tf.Tensor], Batch]) -> tf.data.Dataset:
    """The batches at positions `ids` [steps, b], which a function gathers."""
    batches = tf.data.Dataset.from_tensor_slices(ids)
    return batches.map(gather, num_parallel_calls=os.cpu_count(), deterministic=True)


def _gather(
    split: Split, seed: int, epoch: int, options: AugmentationOptions
) -> Callable[[tf.Tensor], Batch]:
    """A function from positions in the split to a batch."""
    changes = options.of(split)
    rows = split.index.max() + 1
    drawn = [draws(seed, epoch, rows, kind) for kind in range(len(changes))]
    labels, index, *_ = split.tensors
    read = _reader(split)
    scaled = _scaled(split)
    with tf.device("/cpu:0"):
        tables = [tf.constant(numbers) for numbers in drawn]

    def gather(ids: tf.Tensor) -> Batch:
        images = read(ids)
        positions = tf.gather(index, ids)
        for change, table in zip(changes, tables, strict=True):
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
    generator = np.random.default_rng([seed, epoch, EXTRA])
    return np.concatenate([generator.permutation(n) for _ in range(-(-count // n))])[:count]


def _places(seed: int, epoch: int, count: int, batch_size: int) -> np.ndarray:
    """Random orders of the examples of `count` batches: [count, batch_size]."""
    generator = np.random.default_rng([seed, epoch, PLACES])
    return generator.permuted(np.tile(np.arange(batch_size), (count, 1)), axis=1)


def _options() -> tf.data.Options:
    """Options for so short a pipeline: nothing is tuned."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
