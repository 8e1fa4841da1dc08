"""Boxes of inputs in a batch, and how they are cut."""

from typing import NamedTuple

import numpy as np

from rt_tf.interchange.property import TINY

SHARE = 0.1  # of a box's largest coefficient, that every input counts as having


class Boxes(NamedTuple):
    """Parts of a region, or one of them without the first axis.

    lower, upper: the ends, [boxes, inputs]. known: bounds of pre-activation values that hold there,
    [boxes, 2, units]. effects: how much the bound of its best row changes across a box by each
    input, [boxes, inputs]; negative for what cannot be cut.
    """

    lower: np.ndarray
    upper: np.ndarray
    known: np.ndarray
    effects: np.ndarray

    def halves(self) -> "Boxes":
        """Both halves of every box: all lower ones, then all upper ones."""
        own = np.arange(len(self.lower))
        place = self.effects.argmax(axis=1)
        middle = middles(self.lower, self.upper)[own, place]
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[own, place] = upper[own, place] = middle
        return Boxes(
            np.concatenate([self.lower, lower]),
            np.concatenate([upper, self.upper]),
            *(np.concatenate([values, values]) for values in self[2:]),
        )


def middles(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Numbers between ends, none that would be flushed to zero."""
    middle = 0.5 * lower + 0.5 * upper
    middle = np.where(np.abs(middle) < TINY, np.float32(0.0), middle)
    return np.clip(middle, lower, upper)


def effects(
    lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """How much linear functions change across boxes by each input.

    -1 where an input cannot be cut: no number is between its ends, or it is not wider than `least`,
    [inputs].
    """
    sizes = np.abs(slopes)
    sizes += SHARE * sizes.max(axis=1, keepdims=True, initial=0.0) + TINY
    middle, widths = middles(lower, upper), upper - lower
    return np.where((lower < middle) & (middle < upper) & (widths > least), sizes * widths, -1.0)
