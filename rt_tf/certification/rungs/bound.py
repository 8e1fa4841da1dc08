"""A bound method as a rung: sound arithmetic, all examples of a query in one batch."""

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.result import Box
from rt_tf.certification.proof import OPTIONS, SLOPE_RULES, UNCUT, Proof, leaf_proofs
from rt_tf.certification.rung import OUT_OF_MEMORY, Finding, Query
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat

UNCUT_PROOF = Proof(UNCUT, np.zeros((0, 2), np.int32), {})


class BoundResult(NamedTuple):
    """Bounds of a batch of examples.

    margins: the least ones, [batch]. slopes: by activation, [batch, rows, ...]. counts: by
    activation, whether a unit's slope makes a difference, [batch, ...]. uncut: see `Bounds`.
    infinite: the number of the first node whose bounds are not finite, or 0: [batch].
    """

    margins: Tensor
    slopes: dict[int, Tensor]
    counts: dict[int, Tensor]
    uncut: Tensor | None
    infinite: Tensor


class Stop(NamedTuple):
    """The cause that stopped a bound, if any did, and the layer where it was."""

    cause: str | None = None
    layer: str | None = None


class BoundRung:
    """Certifies by a bound of the catalogue.

    UserError for a bound that is for training alone.
    """

    def __init__(
        self,
        name: str,
        wiring: Wiring,
        threat: Threat,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        entry = catalogue.find("bound", name)
        if entry.certified_by:
            raise UserError(
                f"rungs: expected bounds that certify; received '{name}', which is for training "
                f"alone; '{entry.certified_by}' certifies in its place"
            )
        self.name = name
        self.wiring = wiring.certifiable()
        self.threat = threat
        self.probable = entry.probable
        self._bound = functools.partial(catalogue.bound(name, settings), **OPTIONS.get(name, {}))
        signature = [
            tf.TensorSpec([None, *wiring.input_shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.float32),
        ]
        self._compiled = tf.function(self._least, autograph=False, input_signature=signature)

    def __call__(self, query: Query) -> Iterator[Finding]:
        """Yields one finding for every example; without enough memory, none has a bound."""
        return self.at(query.images, query.labels, np.full(len(query.labels), query.eps))

    def at(self, images: np.ndarray, labels: np.ndarray, eps: np.ndarray) -> Iterator[Finding]:
        """Yields one finding for every example, at a radius of its own.

        images: [batch, ...]; labels, eps: [batch].
        """
        self.wiring.domain.check(images)
        began, labels = time.perf_counter(), labels.astype(np.int64)
        count = len(labels)
        try:
            result = self._compiled(images, labels, tf.constant(eps, tf.float32))
            margins, proofs = result.margins.numpy(), self._proofs(result, labels)
            stops = [self._stop(int(node)) for node in result.infinite.numpy()]
        except OUT_OF_MEMORY:
            margins, proofs = np.full(count, -np.inf, np.float32), [None] * count
            stops = [Stop("memory")] * count
        seconds = (time.perf_counter() - began) / count
        for margin, proof, stop in zip(margins, proofs, stops, strict=True):
            yield Finding(
                float(margin), seconds, stop.cause, self.probable, proof=proof, layer=stop.layer
            )

    def _stop(self, node: int) -> "Stop":
        """The stop of an example's bound. node: the first without finite bounds, or 0."""
        if not node:
            return Stop()
        return Stop("infinite", self.wiring.lower().nodes[node - 1].name)

    def _proofs(self, result: BoundResult, labels: np.ndarray) -> Sequence[Proof | None]:
        """The proofs of bounds that have slopes of their own or are uncut; else None for each.

        The proofs of other bounds follow from the rung's rule.
        """
        if result.uncut is not None:
            return [UNCUT_PROOF if uncut else None for uncut in result.uncut.numpy()]
        if not result.slopes:
            return [None] * len(labels)
        others = np.array([np.delete(np.arange(self.wiring.classes), y) for y in labels])
        return leaf_proofs(SLOPE_RULES[self.name], others, result.slopes, result.counts)

    def _least(self, images: Tensor, labels: Tensor, eps: Tensor) -> BoundResult:
        region = Region(self.threat, images, eps, self.wiring.domain)
        spec = margin_rows(labels, self.wiring.classes)
        graph = self.wiring.lower()
        bounds = self._bound(graph, region, spec, arithmetic="sound")
        boxes = {i: bounds.boxes[graph.nodes[i - 1].inputs[0]] for i in bounds.slopes or {}}
        counts = {i: (box.lower < 0.0) & (box.upper > 0.0) for i, box in boxes.items()}
        least = tf.reduce_min(bounds.margins, axis=1)
        infinite = first_infinite(bounds.boxes)
        return BoundResult(least, bounds.slopes or {}, counts, bounds.uncut, infinite)


def first_infinite(boxes: Mapping[int, Box]) -> Tensor:
    """The number of the first node whose box is not finite, by example, or 0: [batch]."""
    first = tf.zeros(tf.shape(boxes[0].lower)[:1], tf.int32)
    for i in sorted(boxes, reverse=True):
        finite = tf.math.is_finite(boxes[i].lower) & tf.math.is_finite(boxes[i].upper)
        axes = list(range(1, finite.shape.rank))
        first = tf.where(tf.reduce_all(finite, axis=axes), first, i)
    return first
