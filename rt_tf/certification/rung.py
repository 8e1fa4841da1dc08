"""The interface of a ladder's rungs: a query of examples in, a finding for each out."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from rt_tf.certification.proof import Proof

TIME_LIMIT = 30.0  # the seconds that a rung which searches takes for an example, at most
OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)  # on devices, and in Python


class Query(NamedTuple):
    """Examples that are open, and the radius: images [batch, ...], labels [batch].

    points: for each example the worst input of its region so far, where a search may begin, or
    None.
    """

    images: np.ndarray
    labels: np.ndarray
    eps: float
    points: Sequence[np.ndarray | None]


class Finding(NamedTuple):
    """The result of one rung for one example.

    margin: a lower bound of the least margin; -inf where there is none. seconds: that it took.
    cause: what stopped the rung (time, memory, infinite, incomplete, error), or None. probable: the
    bound holds with a probability only; trusted: it rests on a solver's word; neither certifies
    anything. point: the worst input of the region that the rung came upon. falsified: the network
    errs at `point`. proof: the slopes and splits of the bound, where they do not follow from the
    rung's rule. layer: the one whose bounds are infinite, if that is the cause.
    """

    margin: float
    seconds: float
    cause: str | None = None
    probable: bool = False
    trusted: bool = False
    point: np.ndarray | None = None
    falsified: bool = False
    proof: Proof | None = None
    layer: str | None = None

    @property
    def certified(self) -> bool:
        """Whether the finding proves the margin positive."""
        return self.margin > 0.0 and not (self.probable or self.trusted)

    @property
    def settled(self) -> bool:
        """Whether no further rung is needed."""
        return self.certified or self.falsified


Findings = dict[str, Finding]


class Rung(Protocol):
    """A step of a ladder; rungs with a time limit apply it to each example by itself."""

    def __call__(self, query: Query) -> Iterator[Finding]:
        """Yields one finding for every example, in order, each as soon as it is there."""


def one_by_one(
    query: Query,
    time_limit: float,
    settled: Callable[[np.ndarray, int, float, float], Finding],
) -> Iterator[Finding]:
    """Yields one finding for every example, in order, each as soon as it is there.

    time_limit: seconds for each example. settled: gives the finding, without its seconds, of an
    image [...], its label, the radius and the moment of `time.perf_counter` to end at.
    """
    for image, label in zip(query.images, query.labels, strict=True):
        began = time.perf_counter()
        try:
            finding = settled(image, int(label), query.eps, began + time_limit)
        except OUT_OF_MEMORY:
            finding = Finding(-np.inf, 0.0, "memory")
        yield finding._replace(seconds=time.perf_counter() - began)
