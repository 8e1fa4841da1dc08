"""A ladder of bound methods: each rung only on what the one before left open."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat


class Finding(NamedTuple):
    """What one rung found for one example: the least margin's lower bound, and the time.

    cause: why there is no bound, "memory", if the rung could not be computed.
    """

    margin: float
    seconds: float
    cause: str | None = None

    @property
    def certified(self) -> bool:
        return self.margin > 0.0


Findings = dict[str, Finding]


class Ladder:
    """Certifies examples of a network against a threat, in sound arithmetic.

    UserError while TF32 is on: its products are too coarse for the error model.
    """

    def __init__(self, wiring: Wiring, threat: Threat, rungs: Sequence[str]) -> None:
        _refuse_coarse_products()
        self.wiring = wiring
        self.threat = threat
        self.rungs = {name: self._rung(catalogue.resolve("bound", name)) for name in rungs}

    def climb(self, images: np.ndarray, labels: np.ndarray, eps: float) -> list[Findings]:
        """Finds for each example what each rung says, up to the first that certifies it.

        images: [batch, ...]; every rung is run on a batch of the same size, padded with repeats.
        A rung that runs out of memory says so of its examples and leaves them to the next one.
        """
        _refuse_coarse_products()
        radius = tf.constant(eps, tf.float32)
        findings: list[Findings] = [{} for _ in labels]
        open_rows = np.arange(len(labels))
        for name, rung in self.rungs.items():
            if not len(open_rows):
                break
            padded = np.resize(open_rows, len(labels))
            began = time.perf_counter()
            margins, cause = _margins(rung, images[padded], labels[padded], radius)
            margins = margins[: len(open_rows)]
            seconds = (time.perf_counter() - began) / len(open_rows)
            for row, margin in zip(open_rows, margins, strict=True):
                findings[row][name] = Finding(float(margin), seconds, cause)
            open_rows = open_rows[~(margins > 0.0)]
        return findings

    def _rung(self, bound: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def least_margin(images: Tensor, labels: Tensor, eps: Tensor) -> Tensor:
            region = Region(self.threat, images, eps)
            spec = margin_spec(labels, self.wiring.classes)
            margins = bound(self.wiring.lower(), region, spec, arithmetic="sound").margins
            return tf.reduce_min(margins, axis=1)

        return tf.function(least_margin, autograph=False, reduce_retracing=True)


def _margins(
    rung: Callable[..., Tensor], images: np.ndarray, labels: np.ndarray, radius: Tensor
) -> tuple[np.ndarray, str | None]:
    """Least margins of a batch, or -inf and "memory" where there was not enough of it."""
    try:
        return rung(images, labels, radius).numpy(), None
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return np.full(len(images), -np.inf, np.float32), "memory"


def _refuse_coarse_products() -> None:
    if tf.config.experimental.tensor_float_32_execution_enabled():
        raise UserError(
            "certify: expected full float32 products; TF32 is on; call "
            "tf.config.experimental.enable_tensor_float_32_execution(False)"
        )
