"""The labels of a user's examples: checked numbers, and names of classes."""

from collections.abc import Sequence

import numpy as np

from rt_tf.errors import UserError

MOST = 10_000  # classes


def whole(labels: np.ndarray, count: int, what: str) -> np.ndarray:
    """Labels as int64 [count]; UserError for others than whole numbers from 0 on, one a row.

    what: the labels, for messages.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise UserError(
            f"{what}: expected a label for each of the {count} examples, [{count}]; received "
            f"{list(labels.shape)}"
        )
    if labels.dtype.kind not in "iu":
        raise UserError(f"{what}: expected whole numbers (integers); received {labels.dtype}")
    if count and (labels.min() < 0 or labels.max() >= MOST):
        raise UserError(
            f"{what}: expected labels from 0 to {MOST - 1}; received {labels.min()} to "
            f"{labels.max()}"
        )
    return labels.astype(np.int64)


def names(parts: Sequence[np.ndarray], what: str) -> tuple[str, ...]:
    """The names 0, 1, ... of labels that name no classes; UserError for one class, or a gap.

    parts: the labels [n] of each part, those of training first.
    """
    classes = int(max(labels.max(initial=0) for labels in parts)) + 1
    check_classes([str(label) for label in range(classes)], parts[0], what)
    return tuple(str(label) for label in range(classes))


def check_classes(class_names: Sequence[str], train: np.ndarray, what: str) -> None:
    """Raises UserError for fewer than two classes, or one without a training example.

    train: the labels of training, [n].
    """
    if len(class_names) < 2:
        raise UserError(
            f"{what}: expected at least two classes; received {len(class_names)}"
            + (f" ({class_names[0]})" if class_names else "")
        )
    if 2 * len(class_names) > len(train):
        raise UserError(
            f"{what}: expected labels of classes, two examples of each; received "
            f"{len(class_names)} different ones in {len(train)} examples"
        )
    missing = sorted(set(range(len(class_names))) - set(np.unique(train).tolist()))
    if missing:
        raise UserError(
            f"{what}: expected training examples of each of the {len(class_names)} classes; "
            f"received none of {', '.join(class_names[label] for label in missing[:10])}"
        )
