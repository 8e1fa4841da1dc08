"""The parting of examples: some are held out, of every class the same share."""

import hashlib

import numpy as np
from sklearn.model_selection import train_test_split

from rt_tf.data.rows import Rows, portions
from rt_tf.errors import UserError


def hold_out(
    labels: np.ndarray, share: float, seed: int, name: str = "validation"
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (of the rest, held out), each ascending; every class loses the same share.

    labels: [n]. share: a fraction below 1, or a number of examples. name: of the setting, for
    messages. UserError for a share out of range, or a class of one example.
    """
    classes, counts = np.unique(labels, return_counts=True)
    n = len(labels)
    count = round(n * share) if 0 < share < 1 else share
    if not len(classes) <= count <= n - len(classes) or count != int(count):
        raise UserError(
            f"{name}: expected a fraction of the {n} training examples between 0 and 1, or a "
            f"whole number from {len(classes)} to {n - len(classes)}; received {share}"
        )
    if counts.min() < 2:
        raise UserError(
            f"{name}: expected at least two examples of each class to hold some out; class "
            f"{classes[counts.argmin()]} has one"
        )
    rest, held = train_test_split(
        np.arange(n), test_size=int(count), stratify=labels, random_state=seed
    )
    return np.sort(rest), np.sort(held)


def shared_rows(train: Rows, test: Rows) -> int:
    """The number of test rows that are among the training rows, value by value."""
    known = set(_digests(train))
    return sum(digest in known for digest in _digests(test))


def _digests(rows: Rows) -> list[bytes]:
    """A digest of each row's bytes."""
    return [
        hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        for _, some in portions(rows)
        for row in some
    ]
