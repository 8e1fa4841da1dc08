"""What a cascade answers, and what its certificate says.

The members are asked in turn. As soon as one gives another label than the first, the cascade
abstains; else the first member that certifies its label answers with it; where none does, the
cascade abstains. So no other label is answered anywhere in a ball around an input on which it
answers (it may abstain there): of two members that answered, the earlier one has one label on both
inputs, and the later one was asked after it. Without the agreement this would not hold.
Source: Wong et al. 2018; Wong 2020 (thesis), algorithm 4.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.certify.ladder import Findings, Ladder
from rt_tf.network.ops import Tensor


class Answer(NamedTuple):
    """label: the first member's, [batch]. margin: of the certificate; not above 0: it abstains."""

    label: Tensor
    margin: Tensor


def answer(labels: Sequence[Tensor], margins: Sequence[Tensor]) -> Answer:
    """A cascade's answer from what its members say, each [batch].

    labels: the members' own. margins: lower bounds of the least margin of the first one's label.
    """
    agree, best = tf.ones_like(labels[0], tf.bool), tf.fill(tf.shape(margins[0]), -float("inf"))
    for label, margin in zip(labels, margins, strict=True):
        agree &= label == labels[0]
        best = tf.maximum(best, tf.where(agree, margin, -float("inf")))
    return Answer(labels[0], best)


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
            findings[open_rows[k]] |= {f"{rung}, member {number}": f for rung, f in own.items()}
            left[k] = not any(one.certified for one in own.values())
        open_rows = open_rows[left]
    yield from enumerate(findings)
