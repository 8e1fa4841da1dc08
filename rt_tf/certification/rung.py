"""What a rung of the ladder is asked, and what it finds."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from rt_tf.certification.proof import Proof


class Query(NamedTuple):
    """Examples that are open: images [batch, ...], their labels [batch], the radius.

    points: for each the worst input of its region met so far, if any: where a search may begin.
    """

    images: np.ndarray
    labels: np.ndarray
    eps: float
    points: Sequence[np.ndarray | None]


class Finding(NamedTuple):
    """What one rung found for one example: the least margin's lower bound, and the time.

    margin: -inf where there is no bound. cause: what stopped the rung, if anything: time, memory or
    error. probable: the bound holds with a probability only; trusted: it rests on a solver's word;
    neither certifies anything. point: the worst input of the region that was met. falsified: the
    network errs at `point`. proof: what a bound was made of, beside the rung's rule.
    """

    margin: float
    seconds: float
    cause: str | None = None
    probable: bool = False
    trusted: bool = False
    point: np.ndarray | None = None
    falsified: bool = False
    proof: Proof | None = None

    @property
    def certified(self) -> bool:
        """Whether the margin is proved."""
        return self.margin > 0.0 and not (self.probable or self.trusted)

    @property
    def settled(self) -> bool:
        """Whether no further rung is needed."""
        return self.certified or self.falsified


Findings = dict[str, Finding]


class Rung(Protocol):
    """Finds for each example in turn; slow rungs take the time limit for each by itself."""

    def __call__(self, asked: Query) -> Iterator[Finding]:
        """One finding for every example, in order, each as soon as it is there."""
