"""The splits of TFDS's data sets, decoded: into memory, or once into the cache."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from rt_tf.data.sources import cache
from rt_tf.data.sources.features import Features
from rt_tf.data.sources.resizing import fitted, with_channels
from rt_tf.data.sources.source import Part, Reading
from rt_tf.errors import UserError

CACHED_FROM = 10_000  # examples: fewer are decoded within a second
AT_ONCE = 500  # examples


def decoded(
    builder: tfds.core.DatasetBuilder,
    split: str,
    features: Features,
    reading: Reading,
    shape: tuple[int, ...] | None = None,
) -> Part:
    """The examples of a split; their rows are memory-mapped if they are many.

    shape: (h, w, c) to which images are brought; None for those that have one shape. UserError for
    files that cannot be read, and where a large split cannot be written to the cache.
    """
    try:
        return _decoded(builder, split, features, reading, shape)
    except (tf.errors.OpError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"data set '{builder.name}': split '{split}' in '{builder.data_dir}' cannot be read; "
            f"expected whole files, received: {' '.join(str(error).split())[:200]}"
        ) from error


def _decoded(
    builder: tfds.core.DatasetBuilder,
    split: str,
    features: Features,
    reading: Reading,
    shape: tuple[int, ...] | None,
) -> Part:
    info = builder.info.splits[split]
    if info.num_examples < CACHED_FROM and shape is None:
        return _in_memory(builder, split, features)
    key = {
        "files": cache.marks(map(Path, info.filepaths)),
        "split": split,
        "features": features,
        "shape": shape,
    }

    def make(folder: Path) -> None:
        _write(folder, builder, split, features, reading, shape)

    try:
        folder = cache.kept(reading.cache_dir, f"{builder.name}-{split}", key, make)
    except cache.UnwritableError as error:
        if shape is not None or info.num_bytes > cache.IN_MEMORY:
            raise
        reading.progress.say(f"{error}; until then every run decodes {builder.name} again")
        return _in_memory(builder, split, features)
    return Part(cache.read_rows(folder / "rows.npy"), np.load(folder / "labels.npy"))


def _in_memory(builder: tfds.core.DatasetBuilder, split: str, features: Features) -> Part:
    columns = builder.as_dataset(split=split, batch_size=-1, shuffle_files=False)
    whole = tfds.as_numpy(columns)
    return Part(features.rows(whole), whole[features.label].astype(np.int64))


def _write(
    folder: Path,
    builder: tfds.core.DatasetBuilder,
    split: str,
    features: Features,
    reading: Reading,
    shape: tuple[int, ...] | None,
) -> None:
    """Writes the rows and labels of a split, some at a time."""
    count = builder.info.splits[split].num_examples
    batches = iter(_batches(builder, split, features, shape))
    first = next(batches)
    rows = features.rows(first)
    cache.refuse_full(folder, count * rows[0].nbytes)
    stored = np.lib.format.open_memmap(
        folder / "rows.npy", "w+", rows.dtype, (count, *rows.shape[1:])
    )
    labels = np.empty(count, np.int64)
    begin = 0
    with reading.progress.bar(f"decoding {builder.name}, {split}", count, 0) as bar:
        for batch in itertools.chain([first], batches):
            rows = features.rows(batch)
            end = begin + len(rows)
            stored[begin:end], labels[begin:end] = rows, batch[features.label]
            bar.advance(end - begin, "")
            begin = end
    stored.flush()
    np.save(folder / "labels.npy", labels)


def _batches(
    builder: tfds.core.DatasetBuilder,
    split: str,
    features: Features,
    shape: tuple[int, ...] | None,
) -> Any:
    """The examples of a split in order, AT_ONCE together, images at their shape."""
    examples = builder.as_dataset(split=split, shuffle_files=False)

    def wanted(example: Any) -> Any:
        given = example[features.input]
        if shape is not None:
            given = fitted(with_channels(given, shape[-1]), shape)
        return {features.input: given, features.label: example[features.label]}

    return tfds.as_numpy(examples.map(wanted, tf.data.AUTOTUNE).batch(AT_ONCE).prefetch(2))
