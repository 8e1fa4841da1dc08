"""Points in the plane as a TFDS data set that is generated without network."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from rt_tf.data.generated import image_info

POINTS = 12
APART = 0.16
COPIES = 100
SEED = 0


class Points(tfds.core.GeneratorBasedBuilder):
    """Twelve points of the unit square at least .16 apart, with random labels (Wong 2020, 3.2).

    There is nothing to generalise to: the test split has each of them once, the training split
    a hundred times, so that its held-out part has the same points. A point is an image of one
    row and two columns.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "Initial release."}

    def _info(self) -> tfds.core.DatasetInfo:
        description = "Points of the unit square, far apart, with random labels."
        return image_info(self, (1, 2, 1), 2, description, "https://arxiv.org/abs/1711.00851")

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {"train": self._generate_examples(COPIES), "test": self._generate_examples(1)}

    def _generate_examples(self, copies: int) -> Iterator[tuple[int, dict[str, Any]]]:
        draw = np.random.default_rng(SEED)
        pixels = np.round(255 * spread(draw)).astype(np.uint8).reshape(-1, 1, 2, 1)
        labels = draw.permutation(np.arange(POINTS) % 2)
        for i in range(copies * POINTS):
            yield i, {"image": pixels[i % POINTS], "label": int(labels[i % POINTS])}


def spread(draw: np.random.Generator) -> np.ndarray:
    """Random points, each drawn until it is far from those before: [POINTS, 2] in [0, 1]."""
    points = np.empty((0, 2))
    while len(points) < POINTS:
        point = draw.random(2)
        if (np.abs(points - point).max(axis=1) >= APART).all():
            points = np.vstack([points, point])
    return points
