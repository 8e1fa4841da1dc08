"""The order of a ladder's rungs, chosen by the time that each takes and what it settles."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rt_tf.certification.ladder import Ladder
from rt_tf.certification.rung import Finding, Query, Rung

TRIED = 3  # examples of either kind, easy and hard, for the last rung


class Measured(NamedTuple):
    """A rung's trial on examples: the seconds each took, and whether it was settled; [examples]."""

    seconds: np.ndarray
    settles: np.ndarray


def order(measured: Mapping[str, Measured]) -> list[str]:
    """The sequence of rungs that takes the least time in all; the last of `measured` stays last.

    Other rungs may be left out: the last one settles whatever can be settled.
    """
    *others, last = measured
    sequences = itertools.chain.from_iterable(
        itertools.permutations(others, count) for count in range(len(others) + 1)
    )
    return min(([*some, last] for some in sequences), key=lambda names: total(measured, names))


def total(measured: Mapping[str, Measured], names: Sequence[str]) -> float:
    """The seconds that rungs take in this order, each for the examples that are still open."""
    taken, left = 0.0, np.ones_like(measured[names[0]].settles)
    for name in names:
        taken += float(measured[name].seconds[left].sum())
        left = left & ~measured[name].settles
    return taken


def measure(
    ladder: Ladder, images: np.ndarray, labels: np.ndarray, eps: float
) -> dict[str, Measured]:
    """Tries all rungs but the last on all examples, and the last one on a few: results by rung.

    images: [examples, ...]; labels: [examples]; eps: the radius. The last rung, which searches, is
    tried on TRIED examples that a bound certifies and on TRIED others; its mean time on them stands
    for all examples of their kind.
    """
    *others, last = ladder.rungs.values()
    query = Query(images, labels, eps, [None] * len(labels))
    findings = [_timed_findings(rung, query) for rung in others]
    easy = np.array([any(f.certified for f in by_rung) for by_rung in zip(*findings, strict=True)])
    seconds = np.zeros(len(labels))
    for kind in (easy, ~easy):
        rows = np.flatnonzero(kind)[:TRIED]
        if len(rows):
            some = Query(images[rows], labels[rows], eps, [None] * len(rows))
            seconds[kind] = np.mean([finding.seconds for finding in _timed_findings(last, some)])
    measured = [*map(_measured, findings), Measured(seconds, np.ones(len(labels), bool))]
    return dict(zip(ladder.rungs, measured, strict=True))


def _timed_findings(rung: Rung, query: Query) -> list[Finding]:
    """The findings of a rung; it runs on one example first, since the first run compiles."""
    first = Query(query.images[:1], query.labels[:1], query.eps, query.points[:1])
    list(rung(first))
    return list(rung(query))


def _measured(findings: Sequence[Finding]) -> Measured:
    seconds = np.array([finding.seconds for finding in findings])
    return Measured(seconds, np.array([finding.settled for finding in findings]))
