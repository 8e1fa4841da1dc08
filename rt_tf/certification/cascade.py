"""Certifying by a cascade: what the ladders of its members find, which are asked in turn.

What a cascade answers is said in `rt_tf.bounds.cascade`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from rt_tf.certification.ladder import Findings, Ladder

MEMBER = ", member "  # in a rung's name, before the number of the member that it was asked of


def is_of_member(rung: str) -> bool:
    """Whether a rung of this name was asked of a member of a cascade."""
    return MEMBER in rung


def climb(
    ladders: Sequence[Ladder], images: np.ndarray, labels: np.ndarray, eps: float
) -> Iterator[tuple[int, Findings]]:
    """Yields (row, what the ladders of a cascade's members find up to the first certificate).

    One ladder: of a network alone. labels: [batch], those to certify. A member is asked where all
    before it, and it too, give that label.
    """
    if len(ladders) == 1:
        yield from ladders[0].climb(images, labels, eps)
        return
    findings: list[Findings] = [{} for _ in labels]
    open_rows = np.arange(len(labels))
    for number, ladder in enumerate(ladders, start=1):
        given = tf.argmax(ladder.wiring.lower()(images[open_rows]), axis=-1).numpy()
        open_rows = open_rows[given == labels[open_rows]]
        if not len(open_rows):
            break
        left = np.ones(len(open_rows), bool)
        for k, own in ladder.climb(images[open_rows], labels[open_rows], eps):
            findings[open_rows[k]] |= {f"{rung}{MEMBER}{number}": f for rung, f in own.items()}
            left[k] = not any(one.certified for one in own.values())
        open_rows = open_rows[left]
    yield from enumerate(findings)
