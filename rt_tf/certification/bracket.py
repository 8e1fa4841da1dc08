"""One example's search for the largest eps that a bound certifies: which eps to try next.

A certificate at eps is one at every smaller eps, since balls are nested. A failure says nothing of
any other eps, larger or smaller, since bounds are not monotone in it: failures steer the search and
enter no result. The bound's margin mostly falls with eps, from the network's own margin at 0.
Source: Wong 2020 (thesis), (3.29) and figure 3.7; the steps are those of regula falsi by the
Illinois rule (Dowell & Jarratt 1971), with bisection where that is slow.
"""

import math
from typing import NamedTuple

SMALLEST = 2.0**-14  # share of the largest eps: a failure below it is the last trial
GROWTH = 2.0  # the largest factor from one certified eps to the next
FURTHER = 1.05  # factor from another bound's certified eps to the first trial
SLOW = 3  # trials, after which more than half of a bracket left means that bisection is due


class Trial(NamedTuple):
    """One eps that a rung has tried, and the outcome.

    margin: the proved lower bound of the least margin; -inf where there is none. cause: what
    stopped the rung, or None.
    """

    eps: float
    rung: str
    margin: float
    certified: bool
    cause: str | None = None


class Start(NamedTuple):
    """The start of one example's search.

    margin: the network's own margin, at eps 0. guess: the first eps to try. most: the largest eps
    to try. certified: the largest eps that has a certificate already, 0 if there is none.
    """

    margin: float
    guess: float
    most: float
    certified: float = 0.0


class Bracket:
    """One example's interval: from the largest eps certified to the least failure above it.

    tolerance: the width, relative to the upper end, at which the search ends.
    """

    def __init__(self, start: Start, tolerance: float) -> None:
        self.start = start
        self.tolerance = tolerance
        self.trials: list[Trial] = []
        self.low, self.high = start.certified, math.inf
        # (eps, margin) at either end, as the Illinois rule has them
        self._left, self._right = (0.0, start.margin), (math.inf, -math.inf)
        self._widths: list[float] = []

    def tell(self, trial: Trial) -> None:
        """Takes the outcome of the trial at the eps that `next` proposed."""
        again = bool(self.trials) and self.trials[-1].certified == trial.certified
        if trial.certified:
            self.low, self._left = trial.eps, (trial.eps, trial.margin)
            self._right = _halved(self._right) if again else self._right
        else:
            # far beyond the root a margin says nothing of where the root is
            most = max(trial.margin, -self.start.margin)
            self.high, self._right = trial.eps, (trial.eps, most)
            self._left = _halved(self._left) if again else self._left
        self.trials.append(trial)
        self._widths.append(self.high - self.low)

    def next(self) -> float | None:
        """The eps to try next; None once the search is over."""
        if self.low >= self.start.most:
            return None
        if not self.trials:
            return self._first()
        if self.high == math.inf:
            return self._above()
        step = self.tolerance * self.high
        if self.high - self.low <= step or self.high <= self._floor:
            return None
        return max(min(self._between(), self.high - 0.5 * step), self.low + 0.5 * step)

    @property
    def _floor(self) -> float:
        return SMALLEST * self.start.most

    def _first(self) -> float:
        guess = FURTHER * self.low if self.low > 0.0 else self.start.guess
        return min(guess, self.start.most) if guess > self._floor else self._floor

    def _above(self) -> float:
        """An eps above the certified one, near where the margin is expected to reach 0.

        That is the root of the line through the margins at 0 and at the certified eps, moved up by
        the tolerance and kept between (1 + 2 tolerance) and GROWTH times the certified eps.
        """
        left, fall = self._left[1], self.start.margin - self._left[1]
        further = (1.0 + self.tolerance) * (1.0 + left / fall) if fall > 0.0 else math.inf
        further = min(max(further, 1.0 + 2.0 * self.tolerance), GROWTH)
        return min(self.low * further, self.start.most)

    def _between(self) -> float:
        (begin, upper), (end, lower) = self._left, self._right
        slow = len(self._widths) > SLOW and self._widths[-1] > 0.5 * self._widths[-1 - SLOW]
        if slow or not upper > 0.0:
            return self._middle()
        return begin + (end - begin) * upper / (upper - lower)

    def _middle(self) -> float:
        """The bracket's middle: geometric while its ends are far apart, else arithmetic."""
        low = max(self.low, self._floor)
        return math.sqrt(low * self.high) if self.high > 4.0 * low else 0.5 * (low + self.high)


def _halved(end: tuple[float, float]) -> tuple[float, float]:
    return end[0], 0.5 * end[1]
