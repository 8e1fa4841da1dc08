"""Any data set that TFDS knows, or that lies prepared in its folder: images or a table."""

import difflib
from dataclasses import replace

import numpy as np
import tensorflow_datasets as tfds

from rt_tf.catalogue.datasets import DATASETS, expected_names
from rt_tf.data.augment import flip_and_crop
from rt_tf.data.sources import labels as checked_labels
from rt_tf.data.sources.arrays import of_arrays, refuse_given, with_test
from rt_tf.data.sources.decoded import decoded
from rt_tf.data.sources.features import Features, features_of
from rt_tf.data.sources.preparing import Origin, prepared
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.data.sources.tfds_sets import stock
from rt_tf.errors import UserError

TESTS = ("test", "validation")  # splits that stand for the test split, the better first
NETWORK = "https://www.tensorflow.org"


def read(name: str, reading: Reading) -> Source:
    """The data set of a TFDS name, such as `beans` or `cats_vs_dogs:4.*.*`.

    The image or the numbers, and the label, are found by their types. UserError for a name that is
    unknown, and for features that are no classification of images or numbers.
    """
    builder = prepared(_origin(name, reading), reading.data_dir, reading.download)
    features = features_of(name, builder.info)
    splits, parts = _read_splits(name, builder, features, reading)
    parts, class_names = _numbered(name, parts, features)
    source = _source(name, parts, class_names, features, reading)
    return replace(
        source,
        version=str(builder.version),
        notes=(*source.notes, *_note(splits)),
        test_name=splits.get("test", "test"),
    )


def _read_splits(
    name: str, builder: tfds.core.DatasetBuilder, features: Features, reading: Reading
) -> tuple[dict[str, str], dict[str, Part]]:
    """The splits and their parts by role; a test split whose labels are secret (-1) is none."""
    shape = None if features.columns else _shape(name, builder.info, features, reading)
    splits = _splits(name, builder.info)
    parts = {
        role: decoded(builder, split, features, reading, shape) for role, split in splits.items()
    }
    if "validation" in parts and (parts["test"].labels < 0).all():
        splits = {"train": "train", "test": "validation"}
        parts = {"train": parts["train"], "test": parts["validation"]}
    return splits, parts


def _source(
    name: str,
    parts: dict[str, Part],
    class_names: tuple[str, ...],
    features: Features,
    reading: Reading,
) -> Source:
    """The source of a table or of images, with a test part; UserError for the other's settings."""
    if features.columns:
        refuse_given(name, "is a table", reading, ("image_size", "channels"))
        return of_arrays(name, parts, reading, class_names, features.columns)
    refuse_given(name, "has images", reading, ("scaling", "domain"))
    source = with_test(Source.of(name, class_names, parts), reading.test_share)
    return replace(source, augmentation=flip_and_crop)


def _origin(name: str, reading: Reading) -> Origin:
    """The origin of a data set; UserError for a name that TFDS does not know."""
    try:
        builder = tfds.builder(name, data_dir=reading.data_dir)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError) as error:
        known = {*DATASETS, *tfds.list_builders()}
        near = difflib.get_close_matches(name, known, 3, 0.7)
        raise UserError(
            f"dataset: expected {expected_names()}; received '{name}', which TFDS does not know"
            + (f"; near it are {', '.join(near)}" if near else "")
        ) from error
    return Origin(name, stock(name), builder.info.homepage or NETWORK)


def _shape(
    name: str, info: tfds.core.DatasetInfo, features: Features, reading: Reading
) -> tuple[int, ...] | None:
    """The shape to bring images to; None for images that have one shape already."""
    height, width, channels = info.features[features.input].shape
    if reading.image_size is None and None in (height, width):
        raise UserError(
            f"image_size: expected --image_size=<side> for '{name}', whose images have many sizes; "
            "received none"
        )
    wanted = (*(reading.image_size or (height, width)), reading.channels or channels or 3)
    return None if wanted == (height, width, channels) else wanted


def _splits(name: str, info: tfds.core.DatasetInfo) -> dict[str, str]:
    """The splits by their roles: train, test and validation."""
    present = list(info.splits)
    if "train" not in present:
        raise UserError(
            f"data set '{name}': expected a split 'train'; received {', '.join(present)}"
        )
    splits = {"train": "train"}
    tests = [split for split in TESTS if split in present]
    if tests:
        splits["test"] = tests[0]
    if len(tests) == 2:
        splits["validation"] = "validation"
    return splits


def _note(splits: dict[str, str]) -> tuple[str, ...]:
    if splits.get("test") != "validation":
        return ()
    return ("test: the split 'validation', as there is no split 'test' with labels",)


def _numbered(
    name: str, parts: dict[str, Part], features: Features
) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts with labels from 0 on, and the names of their classes."""
    names = features.class_names
    if not names:
        values = np.unique(np.concatenate([part.labels for part in parts.values()]))
        names = tuple(map(str, values))
        parts = {
            role: Part(part.rows, np.searchsorted(values, part.labels))
            for role, part in parts.items()
        }
    checked_labels.check_classes(names, parts["train"].labels, f"data set '{name}'")
    return parts, names
