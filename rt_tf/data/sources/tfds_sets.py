"""TFDS's data sets of the catalogue, with the particulars that TFDS does not tell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow_datasets as tfds

from rt_tf.data import digits, points
from rt_tf.data.augment import Augmentation, crop, flip_and_crop
from rt_tf.data.rows import LazyRows
from rt_tf.data.sources.decoded import decoded
from rt_tf.data.sources.features import features_of
from rt_tf.data.sources.preparing import Origin, prepared
from rt_tf.data.sources.source import Part, Reading, Source


@dataclass(frozen=True)
class TfdsSet:
    """A data set of the catalogue.

    shape: of an image. examples: for training. test: the split that stands for the test split.
    resized: whether its images have sizes of their own.
    """

    origin: Origin
    shape: tuple[int, int, int]
    classes: int
    examples: int
    pixel_max: int = 255
    augmentation: Augmentation | None = None
    test: str = "test"
    resized: bool = False

    def source(self, reading: Reading) -> Source:
        """The data set, prepared and read."""
        builder = prepared(self.origin, reading.data_dir, reading.download)
        features = features_of(self.origin.name, builder.info)
        shape = self.shape if self.resized else None
        train, test = (
            decoded(builder, split, features, reading, shape) for split in ("train", self.test)
        )
        return self._source(str(builder.version), features.class_names, train, test)

    def made_up(self, seed: int) -> Source:
        """Random images of the data set's shape and number."""
        draw = np.random.default_rng(seed)
        few = draw.integers(0, self.pixel_max + 1, (64, *self.shape), np.uint8)

        def part(count: int) -> Part:
            index = np.arange(count)
            return Part(LazyRows(few, index % len(few)), index % self.classes)

        names = tuple(map(str, range(self.classes)))
        return self._source("made up", names, part(self.examples), part(self.examples // 10))

    def _source(self, version: str, names: tuple[str, ...], train: Part, test: Part) -> Source:
        return Source(
            self.origin.name,
            names,
            train,
            test,
            version=version,
            pixel_max=self.pixel_max,
            augmentation=self.augmentation,
            test_name=self.test,
            is_own=False,
        )


def stock(name: str) -> Callable[..., tfds.core.DatasetBuilder]:
    """A function that makes the builder of a data set that TFDS knows, of a data_dir."""
    return lambda data_dir: tfds.builder(name, data_dir=data_dir)


DIGITS = TfdsSet(Origin("digits", digits.Digits), (8, 8, 1), 10, 1437, pixel_max=digits.PIXEL_MAX)
POINTS = TfdsSet(Origin("points", points.Points), (1, 2, 1), 2, points.POINTS * points.COPIES)
MNIST = TfdsSet(
    Origin(
        "mnist",
        stock("mnist"),
        "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    ),
    (28, 28, 1),
    10,
    60_000,
)
FASHION_MNIST = TfdsSet(
    Origin(
        "fashion_mnist",
        stock("fashion_mnist"),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
    ),
    (28, 28, 1),
    10,
    60_000,
)
CIFAR10 = TfdsSet(
    Origin(
        "cifar10",
        stock("cifar10"),
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ),
    (32, 32, 3),
    10,
    50_000,
    augmentation=flip_and_crop,
)
CIFAR100 = TfdsSet(
    Origin(
        "cifar100",
        stock("cifar100"),
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    ),
    (32, 32, 3),
    100,
    50_000,
    augmentation=flip_and_crop,
)
SVHN = TfdsSet(
    Origin(
        "svhn_cropped",
        stock("svhn_cropped"),
        "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
    ),
    (32, 32, 3),
    10,
    73_257,
    augmentation=crop,
)
IMAGENET = TfdsSet(
    Origin(
        "imagenet",
        stock("imagenet2012"),
        by_hand="https://www.tensorflow.org/datasets/catalog/imagenet2012",
    ),
    (224, 224, 3),
    1000,
    1_281_167,
    augmentation=flip_and_crop,
    test="validation",
    resized=True,
)
