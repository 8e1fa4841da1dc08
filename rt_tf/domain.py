"""The domain of a network's input: the values that each feature can take at all."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError

Tensor: TypeAlias = Any  # like `rt_tf.network.ops.Tensor`, which is in a room above

End: TypeAlias = float | np.ndarray | Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Domain:
    """All inputs between a lower and an upper end, which belong to it; by default [0, 1].

    lower, upper: numbers, or arrays of the input's shape (without batch) for a range of each
    feature's own; -inf and inf where a feature is not limited. In the units of the input, like
    a threat's radius. Inputs are float32 numbers, and so are the ends, rounded outward. (A
    region may also hold ends by example, as tensors [batch, ...].) UserError for ends that are
    not numbers, or where a lower one is above the upper one.
    """

    lower: End = 0.0
    upper: End = 1.0

    def __post_init__(self) -> None:
        if self.is_by_example:
            return
        for name, towards in (("lower", -np.inf), ("upper", np.inf)):
            object.__setattr__(self, name, _end(name, getattr(self, name), towards))
        if np.any(self.lower > self.upper):
            low, high = _first(np.greater(self.lower, self.upper), self.lower, self.upper)
            raise UserError(
                f"domain: expected lower ends that are not above the upper ones; received {low:.9g}"
                f" above {high:.9g}"
            )

    @classmethod
    def of(cls, ends: "Given") -> "Domain":
        """A domain from any form that users write: two ends, a domain, or None for no limits.

        All that takes a domain from a user calls this. UserError for other forms.
        """
        if ends is None:
            return UNLIMITED
        if isinstance(ends, Domain):
            return ends
        if not isinstance(ends, tuple | list) or len(ends) != 2:
            raise UserError(
                f"domain: expected a pair (lower, upper), None for no limits, or a Domain; "
                f"received {ends!r}"
            )
        return cls(*ends)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Domain":
        """The domain whose `config` this is."""
        ends = (_from_json(config[name], sign) for name, sign in (("lower", -1), ("upper", 1)))
        return cls(*ends)

    def config(self) -> dict[str, Any]:
        """The ends as JSON: numbers or lists, None where there is no limit."""
        return {"lower": _to_json(self.lower), "upper": _to_json(self.upper)}

    def change(self, change: Callable[[End], End]) -> "Domain":
        """The domain with a change of each end."""
        return Domain(change(self.lower), change(self.upper))

    @property
    def is_by_example(self) -> bool:
        """Whether an end is a tensor, with a number for every feature of every example."""
        return tf.is_tensor(self.lower) or tf.is_tensor(self.upper)

    @property
    def is_uniform(self) -> bool:
        """Whether the ends are two finite numbers, one pair for all features."""
        return all(isinstance(end, float) and math.isfinite(end) for end in self._ends())

    @property
    def is_bounded(self) -> bool:
        """Whether every feature is limited on both sides."""
        return all(bool(np.isfinite(end).all()) for end in self._ends())

    @property
    def width(self) -> float:
        """The widest feature's range; inf where one is not limited."""
        return float(np.max(np.subtract(self.upper, self.lower)))

    def __str__(self) -> str:
        if all(isinstance(end, float) for end in self._ends()):
            return "[{}, {}]".format(*map(_text, self._ends()))
        least, greatest = float(np.min(self.lower)), float(np.max(self.upper))
        return f"ranges by feature within [{_text(least)}, {_text(greatest)}]"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether the ends are numbers or arrays of an input's shape (without batch)."""
        return all(np.shape(end) in ((), tuple(shape)) for end in self._ends())

    def contains(self, inputs: Tensor) -> Tensor:
        """Whether each of some float32 inputs, [batch, ...], is inside: [batch].

        NaN and infinity are not inside.
        """
        greatest = np.finfo(np.float32).max  # comparisons alone, which TFLite has, too
        lower = np.maximum(np.float32(self.lower), -greatest)
        upper = np.minimum(np.float32(self.upper), greatest)
        inside = (inputs >= lower) & (inputs <= upper)
        return tf.reduce_all(inside, axis=list(range(1, inputs.shape.rank)))

    def check(self, inputs: np.ndarray, name: str = "images") -> None:
        """Raises UserError, naming the first one outside, unless inputs [batch, ...] are inside."""
        values = np.asarray(inputs)
        inside = (values >= self.lower) & (values <= self.upper) & np.isfinite(values)
        if not inside.all():
            place = tuple(int(i) for i in np.argwhere(~inside)[0])
            raise UserError(
                f"{name}: expected values within the domain {self}; received {values[place]:.9g} "
                f"at {list(place)}, and {np.count_nonzero(~inside) - 1} others outside"
            )

    def _ends(self) -> tuple[Any, Any]:
        return self.lower, self.upper


def _end(name: str, value: Any, towards: float) -> End:
    try:
        end = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"domain: expected numbers for {name}; received {value!r}") from error
    if np.isnan(end).any():
        raise UserError(f"domain: expected numbers for {name}; received one that is not (nan)")
    end = _float32(end, towards)
    end.setflags(write=False)
    return end if end.ndim else float(end)


def _text(end: float) -> str:
    """An end in the fewest digits that tell it from other float32 numbers."""
    return str(np.float32(end)).removesuffix(".0")


def _first(where: np.ndarray, *values: End) -> tuple[float, ...]:
    """The value of each array at the first place of the mask."""
    k = int(np.argmax(where.ravel()))
    return tuple(float(np.broadcast_to(v, where.shape).ravel()[k]) for v in values)


def _float32(end: np.ndarray, towards: float) -> np.ndarray:
    """The float32 numbers nearest to an end on one side of it, in float64."""
    with np.errstate(over="ignore"):
        near = end.astype(np.float32)
    wide = near.astype(np.float64)
    crossed = wide < end if towards > 0 else wide > end
    moved = np.where(crossed, np.nextafter(near, np.float32(towards)), near)
    return np.asarray(moved, np.float64)


def _to_json(end: End) -> Any:
    if isinstance(end, float):
        return end if math.isfinite(end) else None
    return [_to_json(part if np.ndim(part) else float(part)) for part in end]


def _from_json(value: Any, sign: int) -> Any:
    if isinstance(value, list):
        return [_from_json(part, sign) for part in value]
    return sign * math.inf if value is None else value


Given: TypeAlias = Domain | tuple[Any, Any] | None  # the forms that `Domain.of` takes
UNIT = Domain()
UNLIMITED = Domain(-math.inf, math.inf)
