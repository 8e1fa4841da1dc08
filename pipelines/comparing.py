"""A run's network against the file it was made of, before anything is said about it."""

import numpy as np

from pipelines.network_file import Adopted
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.interchange import probes
from rt_tf.interchange.parity import Comparer, Comparison, Original

DRAWN = 100  # random inputs, and as many extreme ones
WHOLE = 1e-3  # by how much images may be off the whole numbers that a file takes


def compared(adopted: Adopted, dataset: data.DataSet) -> list[Comparison]:
    """How far a network is from its file on test images, and on inputs from all of the domain.

    UserError where that is more than rounding.
    """
    original, test = adopted.original, dataset.test
    places = np.unique(np.linspace(0, len(test) - 1, original.most, dtype=np.int64))
    images = test.images(places)
    _refuse_between(original, images, dataset)
    domain, shape = probes.bounded(dataset.domain, images), tuple(dataset.shape)
    count = min(DRAWN, original.most // 10)
    comparer = Comparer(adopted.network, original)
    return [
        comparer.compare(images, "test images"),
        comparer.compare(original.nearest(probes.uniform(domain, shape, count)), "random inputs"),
        comparer.compare(original.nearest(probes.extreme(domain, shape, count)), "extreme inputs"),
    ]


def _refuse_between(original: Original, images: np.ndarray, dataset: data.DataSet) -> None:
    """UserError for images that a file's network of whole numbers does not take as they are."""
    if np.abs(original.nearest(images) - images).max(initial=0.0) > WHOLE:
        raise UserError(
            f"{original.flag}: expected images in whole numbers, as {original.path} takes them; "
            f"those of {dataset.name} are in {dataset.domain}; "
            f"--input_range=0,{dataset.test.pixel_max} says what they are for the network"
        )
