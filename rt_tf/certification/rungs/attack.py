"""A quick attack as a rung: a falsified example needs no proof."""

import time
import zlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.task import Task
from rt_tf.certification.rung import OUT_OF_MEMORY, Finding, Query
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat

STEPS, RESTARTS = 50, 4
SEED = 3


class AttackRung:
    """APGD on the margin (PGD for threats without APGD), from starts drawn by a hash of pixels."""

    def __init__(self, wiring: Wiring, threat: Threat) -> None:
        self.wiring = wiring
        self.threat = threat
        signature = [
            tf.TensorSpec([None, *wiring.input_shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([], tf.float64),
        ]
        self._attack = tf.function(self._points, autograph=False, input_signature=signature)

    def __call__(self, query: Query) -> Iterator[Finding]:
        """Yields one finding for every example, with the worst point of the attack."""
        self.wiring.domain.check(query.images)
        began, labels = time.perf_counter(), query.labels.astype(np.int64)
        numbers = np.array([zlib.crc32(image.tobytes()) for image in query.images], np.int64)
        try:
            results = self._attack(
                query.images, labels, numbers, tf.constant(query.eps, tf.float64)
            )
        except OUT_OF_MEMORY:
            seconds = (time.perf_counter() - began) / len(labels)
            yield from [Finding(-np.inf, seconds, "memory")] * len(labels)
            return
        points, success = (t.numpy() for t in results)
        seconds = (time.perf_counter() - began) / len(labels)
        for point, wrong in zip(points, success, strict=True):
            yield Finding(-np.inf, seconds, point=point, falsified=bool(wrong))

    def _points(
        self, images: Tensor, labels: Tensor, numbers: Tensor, eps: Tensor
    ) -> tuple[Tensor, Tensor]:
        name = "apgd" if "apgd" in catalogue.attacks_on(self.threat.name) else "pgd"
        method = catalogue.attack(name, {"steps": STEPS, "step_size": 0.0, "early_stop": True})
        region = Region(self.threat, images, eps, self.wiring.domain)
        keys = noise.keys(tf.constant([SEED], tf.int64), numbers)
        loss = catalogue.resolve("loss", "margin")
        task = Task(self.wiring.lower(), region, labels, keys, loss)
        result = attack_with_restarts(task, method, catalogue.resolve("start", "uniform"), RESTARTS)
        return result.x, result.success
