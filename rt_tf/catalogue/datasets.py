"""Data sets by name, and the other ways to name one.

A data set is named by a row of DATASETS, by `<kind>:<rest>` with a kind of DATASET_KINDS, by a
Python function `module:function`, or by any name that TFDS knows.
"""

import re
from typing import NamedTuple

from rt_tf.catalogue.entries import Entry
from rt_tf.catalogue.models import is_function
from rt_tf.catalogue.training import Named

DATASETS = {
    "digits": Entry("rt_tf.data.sources.tfds_sets:DIGITS", "8x8 digits of scikit-learn, embedded"),
    "points": Entry(
        "rt_tf.data.sources.tfds_sets:POINTS",
        "points in the plane, two classes, made here (1x2 images)",
    ),
    "breast_cancer": Entry(
        "rt_tf.data.tables:breast_cancer", "a table of scikit-learn: 30 measurements of tumours"
    ),
    "mnist": Entry("rt_tf.data.sources.tfds_sets:MNIST", "28x28 handwritten digits"),
    "fashion_mnist": Entry(
        "rt_tf.data.sources.tfds_sets:FASHION_MNIST", "28x28 articles of clothing"
    ),
    "cifar10": Entry("rt_tf.data.sources.tfds_sets:CIFAR10", "32x32 colour images"),
    "cifar100": Entry(
        "rt_tf.data.sources.tfds_sets:CIFAR100", "32x32 colour images of a hundred classes"
    ),
    "svhn_cropped": Entry("rt_tf.data.sources.tfds_sets:SVHN", "32x32 digits of house numbers"),
    "imagenet": Entry(
        "rt_tf.data.sources.tfds_sets:IMAGENET",
        "colour images of a thousand classes, at 224x224",
    ),
}

_TABLE = ("scaling", "domain", "test_share")
# Functions (rest of the name, Reading) -> Source; options: the settings that they take of it.
DATASET_KINDS = {
    "tfds": Entry(
        "rt_tf.data.sources.tfds_any:read",
        "any data set of TFDS with an image, or numbers, and a label",
        ("image_size", "channels", *_TABLE),
    ),
    "folder": Entry(
        "rt_tf.data.sources.folder:read",
        "a folder of class folders of images, or of train/, val/, test/ of class folders",
        ("image_size", "channels", "skip_broken", "test_share"),
    ),
    "npz": Entry(
        "rt_tf.data.sources.npz:read",
        "a file of arrays x_train, y_train, x_test, y_test, or images, labels: images or a table",
        _TABLE,
    ),
    "csv": Entry(
        "rt_tf.data.sources.table:read",
        "a file, or two (TRAIN,TEST), of numeric columns and a column of labels",
        ("label", "drop_columns", *_TABLE),
    ),
}
FUNCTION = Entry(
    "rt_tf.data.sources.function:read", "a Python function that returns a Source or arrays", _TABLE
)


SCALINGS = {
    "range": Named("columns run from 0 to 1 over the training rows"),
    "zscore": Named("columns have mean 0 and deviation 1 over the training rows"),
    "none": Named("columns stay in their own units"),
}
DOMAINS = {
    "minmax": Named("from a column's least to its greatest value"),
    "quantile": Named("between the quantiles .001 and .999 of training rows; others are clipped"),
    "none": Named("no limits"),
}


class DatasetName(NamedTuple):
    """A data set's name taken apart: its entry, and the rest that the entry's function takes.

    is_listed: whether it is a row of DATASETS, which takes no settings.
    """

    entry: Entry
    rest: str
    is_listed: bool = False


def dataset_name(text: str) -> DatasetName:
    """A data set's name taken apart; ValueError for a text that names none."""
    kind, colon, rest = text.partition(":")
    if text in DATASETS:
        return DatasetName(DATASETS[text], text, True)
    if colon and kind in DATASET_KINDS and rest:
        return DatasetName(DATASET_KINDS[kind], rest)
    if is_function(text):
        return DatasetName(FUNCTION, text)
    if re.fullmatch(r"[a-z]\w*(/[\w.-]+)?(:[\d.*]+)?", text):
        return DatasetName(DATASET_KINDS["tfds"], text)
    raise ValueError(f"expected {expected_names()}; received '{text}'")


def expected_names() -> str:
    """The names of data sets in words, for messages and help texts."""
    kinds = ", ".join(f"{kind}:..." for kind in DATASET_KINDS if kind != "tfds")
    return f"one of {', '.join(DATASETS)}, a name of TFDS, {kinds}, or module:function"
