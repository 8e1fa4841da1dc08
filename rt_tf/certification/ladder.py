"""A ladder of attacks, bounds and searches: each rung takes only what those before left open."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.certification.intake import images_of, labels_of, radius_of
from rt_tf.certification.rung import Finding, Findings, Query, Rung
from rt_tf.certification.rungs.bound import BoundRung
from rt_tf.errors import UserError
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Threat

__all__ = ["Finding", "Findings", "Ladder"]


class Ladder:
    """Certifies examples of a network against a threat, in sound arithmetic, or falsifies them.

    rungs: their names, in order. settings: of all rungs by name; each takes those that it has.
    UserError while TF32 is on, whose products are too coarse for the error model, for bounds that
    are for training alone, and for rungs that do not work for the threat or the network.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        rungs: Sequence[str],
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        refuse_coarse_products()
        self.wiring = wiring
        self.rungs = {name: build_rung(name, wiring, threat, settings) for name in rungs}

    def reordered(self, names: Sequence[str]) -> "Ladder":
        """A ladder of some of the same rungs, in this order."""
        other = copy.copy(self)
        other.rungs = {name: self.rungs[name] for name in names}
        return other

    def climb(
        self, images: np.ndarray, labels: np.ndarray, eps: float
    ) -> Iterator[tuple[int, Findings]]:
        """Yields (row, the findings by rung), as soon as one settles it or no rung is left.

        images: [batch, ...], which are taken as float32; labels: [batch], numbers of classes; eps:
        the radius. UserError for others, and for images outside of the wiring's domain. A probable
        bound or a solver's word settles nothing, and neither does a rung that was stopped: its
        finding has the cause.
        """
        refuse_coarse_products()
        images = images_of(self.wiring, images)
        labels, eps = labels_of(self.wiring, labels, len(images)), radius_of(eps)
        findings: list[Findings] = [{} for _ in labels]
        points: list[np.ndarray | None] = [None for _ in labels]
        open_rows = list(range(len(labels)))
        for left, (name, rung) in zip(
            range(len(self.rungs))[::-1], self.rungs.items(), strict=True
        ):
            rows, open_rows = open_rows, []
            if not rows:
                return
            query = Query(images[rows], labels[rows], eps, [points[row] for row in rows])
            for row, finding in zip(rows, rung(query), strict=True):
                findings[row][name] = finding
                points[row] = finding.point if finding.point is not None else points[row]
                if finding.settled or not left:
                    yield row, findings[row]
                else:
                    open_rows.append(row)


def build_rung(name: str, wiring: Wiring, threat: Threat, settings: Mapping[str, Any]) -> Rung:
    """The rung of this name, with those of the settings that it takes."""
    if name in catalogue.SEARCHES:
        return catalogue.search(name, settings)(wiring, threat)
    return BoundRung(name, wiring, threat, settings)


def refuse_coarse_products() -> None:
    """Raises UserError while TF32 is on."""
    if tf.config.experimental.tensor_float_32_execution_enabled():
        raise UserError(
            "certify: expected full float32 products; TF32 is on; call "
            "tf.config.experimental.enable_tensor_float_32_execution(False)"
        )
