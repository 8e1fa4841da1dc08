"""Batches of a split: a pure function of (seed, epoch), so that training can resume anywhere."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rt_tf.data.augment import draws
from rt_tf.data.dataset import Split
from rt_tf.errors import UserError

CONVERTED_AT_ONCE = 2**22  # values: an epoch below this size needs no function traced for it
PREFETCH = 4

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of n examples in an epoch: a permutation, int64 [n]."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def batches(
    split: Split, batch_size: int, seed: int, epoch: int, skip: int = 0, augment: bool = False
) -> tf.data.Dataset:
    """One epoch: (images float32 [b, h, w, c], labels int64 [b], index int64 [b]).

    The last examples that fill no batch are left out, and so are the first `skip` batches.
    augment: apply the data set's augmentation, if it has one.
    """
    steps = len(split) // batch_size
    if steps == 0:
        raise UserError(
            f"batch_size: expected at most {len(split)}, the examples of the {split.name} split; "
            f"received {batch_size}"
        )
    ids = order(seed, epoch, len(split))[: steps * batch_size].reshape(steps, batch_size)[skip:]
    augmented = augment and split.augmentation is not None
    if augmented or split.pixels.size > CONVERTED_AT_ONCE:
        gather = _gather(split, draws(seed, epoch, split.index.max() + 1) if augmented else None)
        dataset = tf.data.Dataset.from_tensor_slices(ids).map(gather)
    else:
        epoch_arrays = (split.images(ids), split.labels[ids], split.index[ids])
        dataset = tf.data.Dataset.from_tensor_slices(epoch_arrays)
    return dataset.with_options(_options()).prefetch(PREFETCH)


def _gather(split: Split, numbers: np.ndarray | None) -> Callable[[tf.Tensor], Batch]:
    """A function from positions in the split to a batch; `numbers`: for the augmentation."""
    pixels, labels, index = split.tensors
    with tf.device("/cpu:0"):
        # A tensor from outside the traced function: division by a constant inside it may be
        # rewritten as multiplication, which rounds otherwise than Split.images.
        pixel_max = tf.constant(split.pixel_max, tf.float32)
        table = None if numbers is None else tf.constant(numbers)

    def gather(ids: tf.Tensor) -> Batch:
        images = tf.cast(tf.gather(pixels, ids), tf.float32) / pixel_max
        positions = tf.gather(index, ids)
        if table is not None and split.augmentation is not None:
            images = split.augmentation(images, tf.gather(table, positions))
        return images, tf.gather(labels, ids), positions

    return gather


def _options() -> tf.data.Options:
    """Nothing to tune in so short a pipeline; workers share batches, not files."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
