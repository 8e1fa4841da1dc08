"""Stability of a loss: its slope against its noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 3  # epochs, so that there is noise around a line through their losses


class Trend(NamedTuple):
    """A line through the losses of the last half of the epochs, in units of the loss.

    fall: the line's fall in an epoch. error: the standard error of the fall. noise: the standard
    deviation of the losses around the line.
    """

    fall: float
    error: float
    noise: float


def trend(losses: Sequence[float]) -> Trend | None:
    """The trend of losses, one for each epoch; None with fewer than five."""
    half = np.asarray(losses[len(losses) // 2 :], np.float64)
    if len(half) < FEWEST:
        return None
    epochs = np.arange(len(half)) - (len(half) - 1) / 2.0
    squares = float(epochs @ epochs)
    slope = float(epochs @ half) / squares
    around = half - half.mean() - slope * epochs
    noise = math.sqrt(float(around @ around) / (len(half) - 2))
    return Trend(-slope, noise / math.sqrt(squares), noise)


def stable(losses: Sequence[float], tolerance: float) -> bool:
    """Whether a loss has stabilised: an epoch gains less than `tolerance` times the noise.

    Gain and noise are of a line through the last half of the epochs: the steep first ones are never
    in it, and the longer training lasts, the smaller a slope it can tell from none. The gain counts
    with two standard errors, so that few noisy epochs prove nothing. Our rule for "the loss
    stabilises" (Gupta et al., DAT).
    """
    line = trend(losses)
    return line is not None and line.fall + 2.0 * line.error <= tolerance * line.noise
