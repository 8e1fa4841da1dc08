"""A data set in memory: its splits, their pixels, and what identifies them."""

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.model_selection import train_test_split

from rt_tf import catalogue
from rt_tf.data.augment import Augmentation
from rt_tf.data.sources import Source, prepared
from rt_tf.errors import UserError

Ids = slice | Sequence[int] | np.ndarray
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a canonical order.

    pixels: uint8 [n, h, w, c], 0..pixel_max. labels: int64 [n]. index: int64 [n], each example's
    position in the TFDS split it comes from.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    pixel_max: int
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        for array in (self.pixels, self.labels, self.index):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, ids: Ids = ALL) -> np.ndarray:
        """Images as the networks read them: float32 in [0, 1], [ids, h, w, c]."""
        return self.pixels[ids].astype(np.float32) / np.float32(self.pixel_max)

    def hashes(self, ids: Ids = ALL) -> list[str]:
        """The first 16 hexadecimal digits of the SHA-256 of each image's bytes."""
        return [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in self.pixels[ids]]

    @functools.cached_property
    def tensors(self) -> tuple[tf.Tensor, ...]:
        """pixels, labels and index in the host's memory, copied once for all epochs."""
        with tf.device("/cpu:0"):
            return tuple(map(tf.constant, (self.pixels, self.labels, self.index)))

    @property
    def checksum(self) -> str:
        """SHA-256 of all images, then all labels (little-endian int64), in order."""
        digest = hashlib.sha256(self.pixels.tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def select(self, ids: Ids, name: str | None = None) -> "Split":
        """The split of some of the examples."""
        arrays = {field: getattr(self, field)[ids] for field in ("pixels", "labels", "index")}
        return replace(self, name=name or self.name, **arrays)

    def take(self, n: int) -> "Split":
        """The first n examples, or all if there are fewer."""
        return self.select(slice(n))


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set: validation is held out of the training examples; shape is (h, w, c)."""

    name: str
    version: str
    train: Split
    validation: Split
    test: Split
    classes: int
    shape: tuple[int, int, int]


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    download: bool = False,
) -> DataSet:
    """Loads a data set of the catalogue into memory.

    data_dir: where TFDS keeps it; None: TFDS's own default. validation: fraction (below 1) or
    number of training examples to hold out, stratified, drawn with `seed`.
    UserError: unknown name, or neither prepared nor possible to prepare, known within 5 s.
    """
    source = cast(Source, catalogue.resolve("dataset", name))
    folder = str(Path(data_dir).expanduser()) if data_dir else None
    builder = prepared(source, folder, download)
    whole = _read(source, builder, "train")
    train, held_out = hold_out(whole.labels, validation, seed)
    return DataSet(
        name=name,
        version=str(builder.version),
        train=whole.select(train),
        validation=whole.select(held_out, "validation"),
        test=_read(source, builder, "test"),
        classes=builder.info.features["label"].num_classes,
        shape=whole.pixels.shape[1:],
    )


def hold_out(labels: np.ndarray, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (kept, held out), each ascending; the same share of every class is held out."""
    classes, n = len(np.unique(labels)), len(labels)
    count = round(n * validation) if 0 < validation < 1 else validation
    if not classes <= count <= n - classes or count != int(count):
        raise UserError(
            f"validation: expected a fraction of the {n} training examples between 0 and 1, or a "
            f"whole number from {classes} to {n - classes}; received {validation}"
        )
    kept, held = train_test_split(
        np.arange(n), test_size=int(count), stratify=labels, random_state=seed
    )
    return np.sort(kept), np.sort(held)


def _read(source: Source, builder: tfds.core.DatasetBuilder, split: str) -> Split:
    try:
        columns = builder.as_dataset(split=split, batch_size=-1, shuffle_files=False)
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            f"data set '{source.name}': split '{split}' in '{builder.data_dir}' cannot be read; "
            f"expected whole files, received: {' '.join(str(error).split())[:200]}"
        ) from error
    pixels, labels = columns["image"].numpy(), columns["label"].numpy()
    index = np.arange(len(labels))
    return Split(split, pixels, labels, index, source.pixel_max, source.augmentation)
