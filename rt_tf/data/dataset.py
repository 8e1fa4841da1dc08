"""A data set in memory: its splits, their pixels and their checksums."""

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from sklearn.model_selection import train_test_split

from rt_tf import catalogue
from rt_tf.data.augment import Augmentation
from rt_tf.data.lazy_images import Ids, LazyImages
from rt_tf.data.resize import resized
from rt_tf.data.sources import Source, is_address, prepared
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError

ALL = slice(None)
AT_ONCE = 1000  # images read together, then used one after another


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in a canonical order.

    pixels: uint8 [n, h, w, c], 0..pixel_max; in memory, or rows that are read when used. labels:
    int64 [n]. index: int64 [n], each example's position in the TFDS split it comes from. domain:
    the range that networks read pixels in, from black to white.
    """

    name: str
    pixels: np.ndarray | LazyImages
    labels: np.ndarray
    index: np.ndarray
    pixel_max: int
    augmentation: Augmentation | None = None
    domain: Domain = UNIT

    def __post_init__(self) -> None:
        for array in (self.pixels, self.labels, self.index):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, ids: Ids = ALL) -> np.ndarray:
        """Images as the networks read them: float32 in the domain, [ids, h, w, c]."""
        if self.domain is UNIT:
            return self.pixels[ids].astype(np.float32) / np.float32(self.pixel_max)
        scale, offset = self.scaling
        return (self.pixels[ids] * scale + offset).astype(np.float32)

    @property
    def scaling(self) -> tuple[float, float]:
        """The factor of pixels and the number added to them, in float64, for the domain."""
        low, high = float(self.domain.lower), float(self.domain.upper)
        return (high - low) / self.pixel_max, low

    def portions(self) -> Iterator[np.ndarray]:
        """All images, in the form of `images`, some at a time: [some, h, w, c] each."""
        for begin in range(0, len(self), AT_ONCE):
            yield self.images(slice(begin, begin + AT_ONCE))

    def hashes(self, ids: Ids = ALL) -> list[str]:
        """The first 16 hexadecimal digits of the SHA-256 of each image's bytes."""
        return [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in self.pixels[ids]]

    @functools.cached_property
    def tensors(self) -> tuple[tf.Tensor, ...]:
        """Copies of labels [n], index [n] and, if in memory, pixels [n, h, w, c], made once."""
        arrays = [self.labels, self.index]
        if isinstance(self.pixels, np.ndarray):
            arrays.append(self.pixels)
        with tf.device("/cpu:0"):
            return tuple(map(tf.constant, arrays))

    @property
    def checksum(self) -> str:
        """SHA-256 of all images, then all labels (little-endian int64), in order."""
        digest = hashlib.sha256()
        for begin in range(0, len(self), AT_ONCE):
            digest.update(self.pixels[begin : begin + AT_ONCE].tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def select(self, ids: Ids, name: str | None = None) -> "Split":
        """The split of some of the examples. ids: their positions."""
        some = self.pixels.select(ids) if isinstance(self.pixels, LazyImages) else self.pixels[ids]
        labels, index = self.labels[ids], self.index[ids]
        return replace(self, name=name or self.name, pixels=some, labels=labels, index=index)

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

    @property
    def domain(self) -> Domain:
        """The range that networks read pixels in."""
        return self.test.domain


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    download: bool = False,
    domain: Given = UNIT,
) -> DataSet:
    """A data set of the catalogue, in memory.

    data_dir: TFDS's folder, or an address that TFDS can read, such as gs://...; None: TFDS's
    own default. validation: fraction (below 1) or number of training examples to hold out,
    stratified, drawn with `seed`. domain: the range that images are read in, two numbers for
    black and white. UserError for an unknown name, for a domain or validation out of range, and
    within 5 s for a data set that is not prepared and cannot be.
    """
    source = cast(Source, catalogue.resolve("dataset", name))
    folder = _folder(data_dir) if data_dir else None
    builder, domain = prepared(source, folder, download), Domain.of(domain)
    if not domain.is_uniform:
        raise UserError(f"domain: expected two finite numbers for images; received {domain}")
    whole, test = (
        replace(_read(source, builder, split), domain=domain) for split in ("train", source.test)
    )
    return _parted(name, str(builder.version), whole, test, source, validation, seed)


def _folder(data_dir: str | os.PathLike[str]) -> str:
    """A folder, or an address unchanged: paths have one slash where addresses have two."""
    text = os.fspath(data_dir)
    return text if is_address(text) else str(Path(text).expanduser())


def synthetic(name: str, validation: float = 0.1, seed: int = 0, domain: Given = UNIT) -> DataSet:
    """Random images of a data set's shape and number, for measurements without the data set."""
    source = cast(Source, catalogue.resolve("dataset", name))
    draw, domain = np.random.default_rng(seed), Domain.of(domain)
    few = draw.integers(0, source.pixel_max + 1, (64, *source.shape), np.uint8)

    def split(part: str, count: int) -> Split:
        index = np.arange(count)
        rows = LazyImages(few, index % len(few))
        labels, pixel_max = index % source.classes, source.pixel_max
        return Split(part, rows, labels, index, pixel_max, source.augmentation, domain)

    whole, test = split("train", source.examples), split(source.test, source.examples // 10)
    return _parted(name, "made up", whole, test, source, validation, seed)


def _parted(
    name: str, version: str, whole: Split, test: Split, source: Source, validation: float, seed: int
) -> DataSet:
    train, held_out = hold_out(whole.labels, validation, seed)
    return DataSet(
        name=name,
        version=version,
        train=whole.select(train),
        validation=whole.select(held_out, "validation"),
        test=test,
        classes=source.classes,
        shape=source.shape,
    )


def hold_out(labels: np.ndarray, validation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (of the rest, held out), each ascending; every class loses the same share.

    labels: [n]. UserError for a fraction or number out of range.
    """
    classes, n = len(np.unique(labels)), len(labels)
    count = round(n * validation) if 0 < validation < 1 else validation
    if not classes <= count <= n - classes or count != int(count):
        raise UserError(
            f"validation: expected a fraction of the {n} training examples between 0 and 1, or a "
            f"whole number from {classes} to {n - classes}; received {validation}"
        )
    rest, held = train_test_split(
        np.arange(n), test_size=int(count), stratify=labels, random_state=seed
    )
    return np.sort(rest), np.sort(held)


def _read(source: Source, builder: tfds.core.DatasetBuilder, split: str) -> Split:
    try:
        if source.resized:
            pixels, labels = resized(builder, split, source.shape)
        else:
            columns = builder.as_dataset(split=split, batch_size=-1, shuffle_files=False)
            pixels, labels = columns["image"].numpy(), columns["label"].numpy()
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            f"data set '{source.name}': split '{split}' in '{builder.data_dir}' cannot be read; "
            f"expected whole files, received: {' '.join(str(error).split())[:200]}"
        ) from error
    index = np.arange(len(labels))
    return Split(split, pixels, labels, index, source.pixel_max, source.augmentation)
