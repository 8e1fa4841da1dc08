"""scikit-learn's 8x8 digits as a TFDS data set that is generated without network."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rt_tf.data.generated import image_info

TEST_SIZE = 360
SPLIT_SEED = 0
PIXEL_MAX = 16


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,797 handwritten digits (E. Alpaydin, C. Kaynak; UCI, CC BY 4.0), pixels 0..16.

    Train (1,437) and test (360) are a seeded, stratified split; both keep scikit-learn's order.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}

    def _info(self) -> tfds.core.DatasetInfo:
        description = "scikit-learn's 8x8 handwritten digits, pixels 0..16, split for testing."
        return image_info(
            self, (8, 8, 1), 10, description, "https://archive.ics.uci.edu/dataset/80"
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        images, labels = load_digits(return_X_y=True)
        train, test = train_test_split(
            np.arange(len(labels)), test_size=TEST_SIZE, stratify=labels, random_state=SPLIT_SEED
        )
        pixels = images.astype(np.uint8).reshape(-1, 8, 8, 1)
        return {
            "train": self._generate_examples(pixels, labels, np.sort(train)),
            "test": self._generate_examples(pixels, labels, np.sort(test)),
        }

    def _generate_examples(
        self, pixels: np.ndarray, labels: np.ndarray, ids: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for i in ids:
            yield int(i), {"image": pixels[i], "label": int(labels[i])}
