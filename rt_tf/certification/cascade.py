"""Certification of a cascade: the findings of its members' ladders, climbed in turn.

`rt_tf.bounds.cascade` says how a cascade answers.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from rt_tf.certification.ladder import Findings, Ladder

MEMBER = ", member "  # in a rung's name, before the number of the member whose ladder it belongs to


def is_of_member(rung: str) -> bool:
    """Whether a rung's name says that it belongs to the ladder of a cascade's member."""
    return MEMBER in rung


def climb(
    ladders: Sequence[Ladder], images: np.ndarray, labels: np.ndarray, eps: float
) -> Iterator[tuple[int, Findings]]:
    """Yields (row, findings of the members' ladders up to the first certificate).

    ladders: one for each member; a single ladder is of a network alone. images: [batch, ...];
    labels: [batch], the classes to certify; eps: the radius. A member's ladder is climbed where it
    and all members before it predict the label.
    """
    if len(ladders) == 1:
        yield from ladders[0].climb(images, labels, eps)
        return
    findings: list[Findings] = [{} for _ in labels]
    open_rows = np.arange(len(labels))
    for number, ladder in enumerate(ladders, start=1):
        predictions = tf.argmax(ladder.wiring.lower()(images[open_rows]), axis=-1).numpy()
        open_rows = open_rows[predictions == labels[open_rows]]
        if not len(open_rows):
            break
        left = np.ones(len(open_rows), bool)
        for k, of_member in ladder.climb(images[open_rows], labels[open_rows], eps):
            findings[open_rows[k]] |= {
                f"{rung}{MEMBER}{number}": f for rung, f in of_member.items()
            }
            left[k] = not any(finding.certified for finding in of_member.values())
        open_rows = open_rows[left]
    yield from enumerate(findings)
