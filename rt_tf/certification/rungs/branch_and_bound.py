"""Branch and bound: splits units until all parts of a region are proved, or one is disproved.

Many subproblems (leaves) of one example are bounded at once, with slopes and multipliers that start
from their parents'.
"""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.branching.bounder import Bounder
from rt_tf.certification.branching.tree_search import TreeSearch
from rt_tf.certification.rung import (
    OUT_OF_MEMORY,
    TIME_LIMIT,
    Finding,
    Query,
    Rung,
    one_by_one,
)
from rt_tf.certification.rungs.splitting import RegionSplitting
from rt_tf.errors import UserError
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat


class BranchAndBound:
    """The complete rung: settles any example, given time.

    time_limit: seconds for each example. memory: MiB for an example's intermediate bounds.
    UserError for activations other than ReLU and LeakyReLU, whose sides are not linear.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        time_limit: float = TIME_LIMIT,
        memory: float = MEMORY,
    ) -> None:
        refuse_curved(wiring, "branch_and_bound")
        example = tf.TensorSpec([1, *wiring.input_shape]), tf.TensorSpec([])
        region = functools.partial(Region, threat, domain=wiring.domain)
        self.bounder = Bounder(wiring.certifiable().lower, region, example, memory)
        self.classes = wiring.classes
        self.domain = wiring.domain
        self.time_limit = time_limit
        self.compiled = False

    def __call__(self, query: Query) -> Iterator[Finding]:
        """Yields one finding for every example, in order, each as soon as it is there."""
        self.domain.check(query.images)
        if not self.compiled and len(query.images):
            self._compile(query.images[0], int(query.labels[0]), query.eps)
        yield from one_by_one(query, self.time_limit, self._settled)

    def _compile(self, image: np.ndarray, label: int, eps: float) -> None:
        """Makes the first calls, whose seconds of tracing belong to no example."""
        self.compiled = True
        with contextlib.suppress(*OUT_OF_MEMORY):
            search = self._search(image, label, eps)
            self.bounder.quick(search.root, search.leaves(search.start()))
            self.bounder.bound(search.root, search.leaves(search.start()), 1)

    def _search(self, image: np.ndarray, label: int, eps: float) -> TreeSearch:
        root = self.bounder.root(tf.constant(image[np.newaxis]), tf.constant(eps, tf.float32))
        return TreeSearch(self.bounder, root, label, self.classes)

    def _settled(self, image: np.ndarray, label: int, eps: float, deadline: float) -> Finding:
        return self._search(image, label, eps).run(deadline)


def branch_and_bound(
    wiring: Wiring, threat: Threat, time_limit: float = TIME_LIMIT, memory: float = MEMORY
) -> Rung:
    """The rung that splits units of ReLUs; for a network with other curves, parts of the region.

    time_limit: seconds for each example. memory: MiB for an example's intermediate bounds.
    """
    kind = RegionSplitting if wiring.lower().curved else BranchAndBound
    return kind(wiring, threat, time_limit, memory)


def refuse_curved(wiring: Wiring, rung: str) -> None:
    """Raises UserError, naming the layer, for an activation that is not linear beside 0."""
    if curved := wiring.lower().curved:
        raise UserError(
            f"rungs: expected ReLU and LeakyReLU alone for {rung}; layer '{curved}' has another "
            "activation; leave the rung out"
        )
