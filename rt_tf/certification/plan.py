"""The order of a ladder's rungs, chosen from what each costs and settles on some examples."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rt_tf.certification.ladder import Ladder
from rt_tf.certification.rung import Finding, Query, Rung

TRIED = 3  # examples of either kind, easy and hard, that the last rung is tried on


class Measured(NamedTuple):
    """What a rung was seen to do: the seconds an example takes, and whether it settles it.

    Both [examples].
    """

    seconds: np.ndarray
    settles: np.ndarray


def order(measured: Mapping[str, Measured]) -> list[str]:
    """The sequence of rungs that takes least time in all; the last of `measured` stays the last.

    Others may be left out: the last rung settles all that can be settled.
    """
    *others, last = measured
    sequences = itertools.chain.from_iterable(
        itertools.permutations(others, count) for count in range(len(others) + 1)
    )
    return min(([*some, last] for some in sequences), key=lambda names: total(measured, names))


def total(measured: Mapping[str, Measured], names: Sequence[str]) -> float:
    """The seconds that rungs in this order take: each for the examples that are still open."""
    taken, left = 0.0, np.ones_like(measured[names[0]].settles)
    for name in names:
        taken += float(measured[name].seconds[left].sum())
        left = left & ~measured[name].settles
    return taken


def measure(
    ladder: Ladder, images: np.ndarray, labels: np.ndarray, eps: float
) -> dict[str, Measured]:
    """Tries all rungs but the last on all examples.

    The last, which searches, is tried on a few that a bound certifies and on a few others; what it
    takes for those is taken for its cost on all of their kind.
    """
    *others, last = ladder.rungs.values()
    asked = Query(images, labels, eps, [None] * len(labels))
    findings = [_tried(rung, asked) for rung in others]
    easy = np.array([any(f.certified for f in found) for found in zip(*findings, strict=True)])
    seconds = np.zeros(len(labels))
    for kind in (easy, ~easy):
        rows = np.flatnonzero(kind)[:TRIED]
        if len(rows):
            some = Query(images[rows], labels[rows], eps, [None] * len(rows))
            seconds[kind] = np.mean([finding.seconds for finding in _tried(last, some)])
    told = [*map(_told, findings), Measured(seconds, np.ones(len(labels), bool))]
    return dict(zip(ladder.rungs, told, strict=True))


def _tried(rung: Rung, asked: Query) -> list[Finding]:
    """The second time, since the first one compiles."""
    one = Query(asked.images[:1], asked.labels[:1], asked.eps, asked.points[:1])
    list(rung(one))
    return list(rung(asked))


def _told(findings: Sequence[Finding]) -> Measured:
    seconds = np.array([finding.seconds for finding in findings])
    return Measured(seconds, np.array([finding.settled for finding in findings]))
