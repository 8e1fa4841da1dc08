"""Further training examples than a data set has, such as images labelled by another network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rt_tf.data.dataset import DataSet
from rt_tf.data.split import Split
from rt_tf.errors import UserError
from rt_tf.files import NUMPY_DAMAGE

Labeller = Callable[[np.ndarray], np.ndarray]  # images in the domain -> labels


@dataclass(frozen=True, eq=False)
class Extra:
    """Further examples, and their share of every batch."""

    split: Split
    share: float

    def count(self, batch_size: int) -> int:
        """The number of further examples in a batch."""
        return round(batch_size * self.share)


def read_extra(path: Path, dataset: DataSet, label: Labeller | None = None) -> Split:
    """Examples of an .npz file: `images`, uint8 in the data set's shape, and `labels`.

    label: labels the images where the file has no labels. UserError for a file, images or
    labels that do not fit.
    """
    if dataset.train.pixel_max is None:
        raise UserError(f"extra_data: expected none for {dataset.name}, whose rows are no images")
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except NUMPY_DAMAGE as error:
        raise UserError(f"extra_data: expected an .npz file; {path} is not: {error}") from error
    images = _images(arrays, path, dataset)
    index = np.arange(len(images))
    split = replace(dataset.train, name="extra", rows=images, labels=index, index=index)
    labels = _labels(arrays, path, split, label)
    if labels.shape != index.shape or labels.min() < 0 or labels.max() >= dataset.classes:
        ends = f" from {labels.min()} to {labels.max()}" if labels.size else ""
        raise UserError(
            f"extra_data: expected a label from 0 to {dataset.classes - 1} for each of the "
            f"{len(images)} images; received {labels.shape}{ends}"
        )
    return replace(split, labels=labels)


def _images(arrays: dict[str, np.ndarray], path: Path, dataset: DataSet) -> np.ndarray:
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.shape[1:] != dataset.shape:
        received = "none" if images is None else f"{images.dtype} {list(images.shape)}"
        raise UserError(
            f"extra_data: expected `images` of uint8 [n, {', '.join(map(str, dataset.shape))}] in "
            f"{path}; received {received}"
        )
    if not len(images):
        raise UserError(f"extra_data: expected at least one image in {path}; received none")
    return images


def _labels(
    arrays: dict[str, np.ndarray], path: Path, split: Split, label: Labeller | None
) -> np.ndarray:
    if label is not None:
        parts = [label(split.images(slice(i, i + 500))) for i in range(0, len(split), 500)]
        return np.concatenate(parts).astype(np.int64)
    if "labels" not in arrays:
        raise UserError(
            f"extra_data: expected `labels` in {path}, or --extra_labels_from=<a finished run> "
            "whose network labels the images; received neither"
        )
    return arrays["labels"].astype(np.int64)
