"""A ladder of bound methods: each rung only on what the one before left open."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

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

    cause: why there is no bound, "memory", if the rung could not be computed. probable: the bound
    holds with a probability only, so that it certifies nothing.
    """

    margin: float
    seconds: float
    cause: str | None = None
    probable: bool = False

    @property
    def certified(self) -> bool:
        return self.margin > 0.0 and not self.probable


Findings = dict[str, Finding]


class Ladder:
    """Certifies examples of a network against a threat, in sound arithmetic.

    settings: of the bound methods; each takes what concerns it. UserError while TF32 is on, whose
    products are too coarse for the error model, and for bounds that are for training alone.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        rungs: Sequence[str],
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        _refuse_coarse_products()
        self.wiring = wiring
        self.threat = threat
        self.rungs = {name: self._rung(_certificate(name, settings)) for name in rungs}

    def climb(self, images: np.ndarray, labels: np.ndarray, eps: float) -> list[Findings]:
        """Finds for each example what each rung says, up to the first that certifies it.

        images: [batch, ...]. A probable bound leaves all its examples to the next rung, and so does
        one that runs out of memory, which says so.
        """
        _refuse_coarse_products()
        radius = tf.constant(eps, tf.float32)
        findings: list[Findings] = [{} for _ in labels]
        open_rows = list(range(len(labels)))
        for name, rung in self.rungs.items():
            if not open_rows:
                break
            probable = catalogue.find("bound", name).probable
            began = time.perf_counter()
            asked = images[open_rows], labels[open_rows].astype(np.int64)
            margins, cause = _margins(rung, *asked, radius)
            seconds = (time.perf_counter() - began) / len(open_rows)
            for row, margin in zip(open_rows, margins, strict=True):
                findings[row][name] = Finding(float(margin), seconds, cause, probable)
            open_rows = [row for row in open_rows if not findings[row][name].certified]
        return findings

    def _rung(self, bound: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def least_margin(images: Tensor, labels: Tensor, eps: Tensor) -> Tensor:
            region = Region(self.threat, images, eps)
            spec = margin_spec(labels, self.wiring.classes)
            margins = bound(self.wiring.lower(), region, spec, arithmetic="sound").margins
            return tf.reduce_min(margins, axis=1)

        signature = [
            tf.TensorSpec([None, *self.wiring.input_shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(least_margin, autograph=False, input_signature=signature)


def _certificate(name: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    entry = catalogue.find("bound", name)
    if entry.certificate:
        raise UserError(
            f"rungs: expected bounds that certify; '{name}' is for training alone, and "
            f"'{entry.certificate}' certifies what it stands for"
        )
    return catalogue.bound(name, settings)


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
