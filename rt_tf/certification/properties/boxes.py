"""A batch of input boxes, and how they are cut."""

from typing import NamedTuple

import numpy as np

from rt_tf.interchange.property import TINY

SHARE = 0.1  # of a box's largest coefficient, which is added to every coefficient


class Boxes(NamedTuple):
    """Parts of a region; a single part has no first axis.

    lower, upper: the ends, [boxes, inputs]. preactivations: bounds of pre-activation values that
    hold there, [boxes, 2, units]. effects: how much the bound of the best row changes across a box
    by each input, [boxes, inputs]; negative where an input cannot be cut.
    """

    lower: np.ndarray
    upper: np.ndarray
    preactivations: np.ndarray
    effects: np.ndarray

    def halves(self) -> "Boxes":
        """Both halves of every box: all lower ones, then all upper ones."""
        numbers = np.arange(len(self.lower))
        place = self.effects.argmax(axis=1)
        middle = middles(self.lower, self.upper)[numbers, place]
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[numbers, place] = upper[numbers, place] = middle
        return Boxes(
            np.concatenate([self.lower, lower]),
            np.concatenate([upper, self.upper]),
            *(np.concatenate([values, values]) for values in self[2:]),
        )


def middles(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Numbers halfway between ends, elementwise, none of which would be flushed to zero."""
    middle = 0.5 * lower + 0.5 * upper
    middle = np.where(np.abs(middle) < TINY, np.float32(0.0), middle)
    return np.clip(middle, lower, upper)


def effects(
    lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """The changes of linear functions across boxes by each input: [boxes, inputs].

    lower, upper, slopes: [boxes, inputs]. -1 where an input cannot be cut: no number is between its
    ends, or it is not wider than `least`, [inputs].
    """
    sizes = np.abs(slopes)
    sizes += SHARE * sizes.max(axis=1, keepdims=True, initial=0.0) + TINY
    middle, widths = middles(lower, upper), upper - lower
    return np.where((lower < middle) & (middle < upper) & (widths > least), sizes * widths, -1.0)
