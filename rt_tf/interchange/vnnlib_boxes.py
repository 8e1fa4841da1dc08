"""Boxes of inputs: the ends that all cases of a formula share, and those of single cases."""

from collections import ChainMap
from collections.abc import Mapping
from fractions import Fraction

from rt_tf.errors import UserError
from rt_tf.interchange.vnnlib_limits import check_size, is_in_range

# sign * X_place <= number, by (place, sign): of two such numbers the smaller counts.
Ends = dict[tuple[int, int], Fraction]
Box = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]


class Frame:
    """The box that all cases are in; some of its ends may be absent. UserError for huge ends."""

    def __init__(self, ends: Ends, inputs: int) -> None:
        _check_sizes(ends)
        self.ends = ends
        self.absent = [
            (i, sign) for i in range(inputs) for sign in (-1, 1) if (i, sign) not in ends
        ]
        self.possible = _is_possible(ends, ends)
        self.box = self._side(-1, inputs), self._side(1, inputs)

    def tighter(self, ends: Ends) -> Ends:
        """The ends that tighten the box; UserError where one of its ends stays absent."""
        if free := [f"X_{i}" for i, sign in self.absent if (i, sign) not in ends]:
            raise UserError(
                "vnnlib_file: expected a lower and an upper end of every input; received none of "
                f"{', '.join(list(dict.fromkeys(free))[:5])}"
            )
        _check_sizes(ends)
        return {key: e for key, e in ends.items() if key not in self.ends or e < self.ends[key]}

    def is_possible(self, tighter: Ends) -> bool:
        """Whether the box has inputs after these ends tighten it."""
        return self.possible and _is_possible(tighter, ChainMap(tighter, self.ends))

    def cut(self, tighter: Ends) -> Box:
        """The tightened box: its lower and its upper ends."""
        if not tighter:
            return self.box
        sides = {-1: list(self.box[0]), 1: list(self.box[1])}
        for (place, sign), number in tighter.items():
            sides[sign][place] = sign * number
        return tuple(sides[-1]), tuple(sides[1])

    def _side(self, sign: int, inputs: int) -> tuple[Fraction, ...]:
        return tuple(sign * self.ends.get((i, sign), Fraction()) for i in range(inputs))


def _is_possible(ends: Ends, all_ends: Mapping[tuple[int, int], Fraction]) -> bool:
    """Whether no end crosses the opposite one, if there is one."""
    opposites = (((place, -sign), number) for (place, sign), number in ends.items())
    return all(
        number + all_ends[opposite] >= 0 for opposite, number in opposites if opposite in all_ends
    )


def _check_sizes(ends: Ends) -> None:
    for (place, sign), number in ends.items():
        if not is_in_range(number):
            check_size(sign * number, f"ends of X_{place}")
