"""Schedules: functions of a position (a step, an epoch) that return a value."""

import itertools
import math
from collections.abc import Callable, Sequence

from rt_tf.catalogue.training import DECAYS


def linear_ramp(position: float, start: float, end: float, begin: float, length: float) -> float:
    """The value at a position: start before `begin`, end after `begin + length`, linear between."""
    return start + (end - start) * _progress(position, begin, length)


def smooth_ramp(position: float, start: float, end: float, begin: float, length: float) -> float:
    """A ramp that is linear but for its first quarter, which is quartic: small radii pass slowly.

    The parameters are those of `linear_ramp`. The quartic meets the line with equal value and
    slope.
    Source: Shi et al. 2021, appendix B.
    """
    turn = 0.25
    t = _progress(position, begin, length)
    slope = 1.0 / (1.0 - 0.75 * turn)  # of the line from (0.75 turn, 0) to (1, 1)
    quartic = slope * turn / 4.0 * (t / turn) ** 4
    line = slope * (t - 0.75 * turn)
    return start + (end - start) * (quartic if t < turn else line)


RAMPS = {"linear": linear_ramp, "smooth": smooth_ramp}

Epochs = tuple[float, ...]
# (epoch, the last one, the rate, epochs that drive its decay, a factor) -> the rate at the epoch
Rate = Callable[[float, float, float, Epochs, float], float]


def piecewise(position: float, end: float, value: float, at: Epochs, factor: float) -> float:
    """The value, multiplied by `factor` at every epoch of `at`."""
    return value * factor ** _reached(position, at)


def multiple(position: float, end: float, value: float, at: Epochs, factor: float) -> float:
    """The value, lowered by as much at every epoch of `at`, to factor * value at the last one."""
    return value * (1.0 - (1.0 - factor) * _reached(position, at) / len(at))


def linear(position: float, end: float, value: float, at: Epochs, factor: float) -> float:
    """The value up to the first epoch of `at`, factor * value from the second, linear between."""
    return linear_ramp(position, value, factor * value, at[0], at[1] - at[0])


def cyclic(position: float, end: float, value: float, at: Epochs, factor: float) -> float:
    """A line from 0 up to the value at the epoch of `at`, and down to 0 at the end (Smith 2017)."""
    rising = _progress(position, 0.0, at[0])
    return value * (rising if rising < 1.0 else 1.0 - _progress(position, at[0], end - at[0]))


def cosine(position: float, end: float, value: float, at: Epochs, factor: float) -> float:
    """Half a wave of the cosine, from value down to 0 at the end."""
    return value * 0.5 * (1.0 + math.cos(math.pi * _progress(position, 0.0, end)))


RATES: dict[str, Rate] = {
    "piecewise": piecewise,
    "multiple": multiple,
    "linear": linear,
    "cyclic": cyclic,
    "cosine": cosine,
}


def fits(decay: str, at: Epochs, end: float) -> bool:
    """Whether these epochs drive a decay: as many as it takes, growing, before the end.

    The epochs of a piecewise decay may lie after the end, where they are never reached.
    """
    inside = decay == "piecewise" or all(0.0 < epoch < end for epoch in at)
    growing = all(a < b for a, b in itertools.pairwise(at))
    return inside and growing and len(at) in DECAYS[decay].counts


def staircase(
    values: Sequence[float], start: float, end: float, step: float, target: float, chance: float
) -> float:
    """A weight that follows an accuracy: MixTrain's adaptive kappa (Wang et al., section IV-C).

    values: the accuracy each time the weight may change. The weight rises by `step`, up to `end`,
    where the accuracy has not fallen since the time before; it falls by `step` where the accuracy
    has fallen below the target. Ours: an accuracy that is not above `chance` changes nothing.
    """
    weight, before = start, -math.inf
    for now in values:
        if now <= chance:
            continue
        if now >= before:
            weight = min(weight + step, end)
        elif now < target:
            weight = max(weight - step, 0.0)
        before = now
    return weight


def _reached(position: float, at: Epochs) -> int:
    return sum(position >= epoch for epoch in at)


def _progress(position: float, begin: float, length: float) -> float:
    if position < begin:
        return 0.0
    return 1.0 if length <= 0 else min((position - begin) / length, 1.0)
