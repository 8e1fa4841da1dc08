"""Branch and bound over parts of the region, for networks whose units have no two linear sides.

Boxes are bounded and bisected. That is complete in the limit alone: where a box is too small to be
cut before its bound decides, the answer is unknown, since the search is incomplete.
"""

import math
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import tensorflow as tf

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.properties.exclusion import ClauseResult
from rt_tf.certification.properties.input_splitting import InputSplitting
from rt_tf.certification.rung import TIME_LIMIT, Finding, Query, one_by_one
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.box import between
from rt_tf.threats.region import Region, Threat

CERTIFIED = float(np.nextafter(np.float32(0.0), np.float32(1.0)))  # all that the search says


class RegionSplitting:
    """A rung that proves the margins of each rival class over parts of an example's region.

    time_limit: seconds for each example. memory: MiB for intermediate bounds.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        time_limit: float = TIME_LIMIT,
        memory: float = MEMORY,
    ) -> None:
        self.wiring = wiring.certifiable()
        self.threat = threat
        self.time_limit = time_limit
        self.graph = wiring.lower()
        self.search = InputSplitting(most_inputs=math.prod(wiring.input_shape), memory=memory)

    def __call__(self, query: Query) -> Iterator[Finding]:
        """Yields one finding for every example, in order, each as soon as it is there."""
        self.wiring.domain.check(query.images)
        yield from one_by_one(query, self.time_limit, self._settled)

    def _settled(self, image: np.ndarray, label: int, eps: float, deadline: float) -> Finding:
        region = Region(self.threat, tf.constant(image[np.newaxis]), eps, self.wiring.domain)
        box = between(*region.outward().box())
        for rival in self._rivals(region.x, label):
            row = np.zeros((1, 1, self.wiring.classes), np.float32)
            row[0, 0, [label, rival]] = 1.0, -1.0
            seconds = deadline - time.perf_counter()
            result = self.search(self.graph, box, tf.constant(row), [Fraction(0)], seconds)
            if result.point is not None:
                return self._judged(region.inward(), label, result.point)
            if not result.excluded:
                return Finding(-np.inf, 0.0, _cause(result))
        return Finding(CERTIFIED, 0.0)

    def _rivals(self, x: Tensor, label: int) -> list[int]:
        """Numbers of the classes beside the label, the likeliest first."""
        order = np.argsort(-self.graph(x)[0].numpy())
        return [int(k) for k in order if k != label]

    def _judged(self, region: Region, label: int, point: np.ndarray) -> Finding:
        """The finding for a point of the region's box at which the network errs."""
        point = region.project(tf.constant(point[np.newaxis]))
        errs = int(tf.argmax(self.graph(point), axis=-1)[0]) != label
        cause = None if errs else "incomplete"
        return Finding(-np.inf, 0.0, cause, point=point[0].numpy(), falsified=errs)


def _cause(result: ClauseResult) -> str:
    return "time" if result.why in ("", "time") else "incomplete"
