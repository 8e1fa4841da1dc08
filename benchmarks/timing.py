"""Measures that the benchmarks share: times, the rate of matrix products, memory, the machine."""

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rt_tf.machine import peak_memory, usable_cores


class Job:
    """A function that is timed in turns with others, so that a drift of the machine slows all."""

    def __init__(self, run: Callable[[], Any]) -> None:
        run()
        self.run = run
        self.times: list[float] = []

    def turn(self, moment: float = 0.0) -> None:
        """Times one run at least, and as many as fill `moment` seconds."""
        begun = len(self.times)
        self.times.append(seconds(self.run))
        while sum(self.times[begun:]) < moment:
            self.times.append(seconds(self.run))

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def seconds(run: Callable[[], Any]) -> float:
    """The seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def product_rate(size: int = 1500, dtype: tf.DType = tf.float32) -> float:
    """The multiply-adds a second of a large matrix product of numbers of a type."""
    matrix = tf.cast(tf.random.normal((size, size)), dtype)
    times = [seconds(lambda: tf.matmul(matrix, matrix).numpy()) for _ in range(8)]
    return size**3 / statistics.median(times[2:])


def peak_mib() -> float:
    """The largest memory of this process so far, in MiB."""
    return peak_memory() / 2**20


def surroundings() -> dict[str, Any]:
    """The versions and the machine that figures belong to."""
    return {
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": {"cores": usable_cores(), "platform": platform.platform()},
    }
