"""When a loss has stabilised: its slope against its noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 3  # epochs of a line that has a noise around it


class Trend(NamedTuple):
    """A line through the losses of the last half of the epochs, in units of the loss.

    fall: of the line, an epoch. error: the standard error of that. noise: the standard deviation of
    the losses around the line.
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

    Both are of a line through the last half of the epochs: the steep first ones are never in it,
    and the longer training lasts, the smaller a slope it tells from none. The gain counts with two
    standard errors, so that few noisy epochs prove nothing. Our rule for "the loss stabilises"
    (Gupta et al., DAT).
    """
    found = trend(losses)
    return found is not None and found.fall + 2.0 * found.error <= tolerance * found.noise
