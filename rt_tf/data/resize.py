"""Images of many sizes, brought to one: stored beside the data set, and read from there."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from rt_tf.data.lazy_images import LazyImages
from rt_tf.errors import UserError

MARGIN = 8 / 7  # ratio of the shorter side to the cropped one: 256 pixels to 224


def resized(
    builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int]
) -> tuple[LazyImages, np.ndarray]:
    """The split's images at `shape`, memory-mapped, and its labels [n].

    The first call resizes all images and writes them; a killed one leaves nothing that counts.
    UserError where they cannot be written.
    """
    name = f"rt_tf-{split}-{shape[0]}x{shape[1]}"
    pixels, labels = (Path(builder.data_dir) / f"{name}{end}.npy" for end in ("", "-labels"))
    if not labels.exists():
        try:
            _write(builder, split, shape, pixels, labels)
        except OSError as error:
            raise UserError(
                f"data_dir: expected room, and leave, to write resized images to "
                f"{builder.data_dir}; {error}"
            ) from error
    stored = np.load(pixels, mmap_mode="r")
    return LazyImages(stored, np.arange(len(stored))), np.load(labels)


def fitted(image: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """The middle of an image [height, width, channels], in uint8: [*shape].

    The image is first resized to 8/7 of the shape along one axis, and to no less along the other.
    """
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.reduce_max(MARGIN * tf.constant(shape[:2], tf.float32) / size)
    whole = tf.image.resize(image, tf.cast(tf.math.ceil(scale * size), tf.int32), antialias=True)
    middle = tf.image.resize_with_crop_or_pad(whole, *shape[:2])
    return tf.cast(tf.clip_by_value(tf.round(middle), 0, 255), tf.uint8)


def _write(
    builder: tfds.core.DatasetBuilder,
    split: str,
    shape: tuple[int, int, int],
    pixels: Path,
    labels: Path,
) -> None:
    """Writes images and labels, the labels last: they are there if all is."""
    count = builder.info.splits[split].num_examples
    partial = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in (pixels, labels)]
    stored = np.lib.format.open_memmap(partial[0], "w+", np.uint8, (count, *shape))
    numbers = np.empty(count, np.int64)
    examples = builder.as_dataset(split=split, shuffle_files=False)
    fit = examples.map(lambda e: (fitted(e["image"], shape), e["label"]), tf.data.AUTOTUNE)
    for i, (image, label) in enumerate(fit.prefetch(64).as_numpy_iterator()):
        stored[i], numbers[i] = image, label
    stored.flush()
    with partial[1].open("wb") as file:
        np.save(file, numbers)
    for path, target in zip(partial, (pixels, labels), strict=True):
        path.replace(target)
