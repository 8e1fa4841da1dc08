"""Kinds of flag values: their parsers, and the errors for other texts."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from absl import flags

ANY = float("inf")  # as an end for `within`
ARRAY = "array"


class PhaseList(tuple):
    """A value for every phase; written as a comma list."""

    def __str__(self) -> str:
        return ",".join(as_flag_text(value) for value in self)


class PhaseParser(flags.ArgumentParser):
    """Parses a comma list with one value for every phase."""

    syntactic_help = "one value, or a comma list with one for every phase"

    def __init__(self, parse_one: Callable[[str], Any]) -> None:
        self.parse_one = parse_one

    def parse(self, argument: Any) -> PhaseList:
        if isinstance(argument, PhaseList):
            return argument
        return PhaseList(self.parse_one(part.strip()) for part in str(argument).split(","))


class OneParser(flags.ArgumentParser):
    """Parses a single value."""

    def __init__(self, parse_one: Callable[[str], Any]) -> None:
        self.parse_one = parse_one

    def parse(self, argument: Any) -> Any:
        return self.parse_one(argument) if isinstance(argument, str) else argument


def number(text: str) -> float:
    """The finite number that a text gives, a fraction such as 8/255 included."""
    top, slash, bottom = text.replace(" ", "").partition("/")
    try:
        value = float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number or a fraction such as 8/255; received '{text}'")
    return value


def line(text: str) -> str:
    """A text of one line, which flag files, reports and model cards can hold unchanged."""
    if not text.isprintable():
        raise ValueError(f"expected a text without line ends and control codes; received {text!a}")
    return text


def within(lower: float, upper: float) -> Callable[[str], float]:
    """A parser of numbers in [lower, upper]."""

    def parse(text: str) -> float:
        value = number(text)
        if not lower <= value <= upper:
            raise ValueError(f"expected a number in [{lower:g}, {upper:g}]; received '{text}'")
        return value

    return parse


def positive(text: str) -> float:
    """A number above 0, from a text."""
    value = number(text)
    if value <= 0.0:
        raise ValueError(f"expected a number > 0; received '{text}'")
    return value


def whole(lower: int, upper: int = 2**31 - 1) -> Callable[[str], int]:
    """A parser of whole numbers from `lower` to `upper`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < lower:
            raise ValueError(f"expected a whole number >= {lower}; received '{text}'")
        if int(text) > upper:
            raise ValueError(f"expected a whole number <= {upper}; received '{text}'")
        return int(text)

    return parse


class OneOf:
    """A parser of names out of a list."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __call__(self, text: str) -> str:
        if text not in self.names:
            raise ValueError(f"expected one of {', '.join(self.names)}; received '{text}'")
        return text


def switch(text: str) -> bool:
    """A truth value, from `true` or `false`."""
    return OneOf(["true", "false"])(text.lower()) == "true"


def ends(text: str) -> PhaseList:
    """The ends of a range, from a text of two growing numbers such as 0,255."""
    values = PhaseList(number(part) for part in text.split(","))
    if len(values) != 2 or not values[0] < values[1]:
        raise ValueError(f"expected two growing numbers such as 0,255; received '{text}'")
    return values


def radii(text: str) -> PhaseList:
    """Three radii of at least zero, not all of them zero, from a text such as 0.3,1.5,12."""
    values = PhaseList(number(part) for part in text.split(","))
    if len(values) != 3 or min(values) < 0.0 or max(values) == 0.0:
        raise ValueError(f"expected three radii such as 0.3,1.5,12; received '{text}'")
    return values


def share(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """A part and the number of equal parts, from a text such as 1/4.

    From `array`, or `array/4` where the environment does not state the number, the part of a task
    of an array job: SLURM's, or an indexed job's of Kubernetes.
    """
    name, _, count = text.partition("/")
    if name == ARRAY:
        text = _of_array(count, environment)
    first, _, last = text.partition("/")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise ValueError(f"expected a part k/n with 1 <= k <= n, such as 1/4; received '{text}'")
    return int(first), int(last)


def _of_array(count: str, environment: Mapping[str, str]) -> str:
    """The part of a task of an array job, as a text such as 1/4. count: as stated by the flag."""
    if (index := environment.get("SLURM_ARRAY_TASK_ID")) is not None:
        begin = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
        count = count or environment.get("SLURM_ARRAY_TASK_COUNT", "")
    elif (index := environment.get("JOB_COMPLETION_INDEX")) is not None:
        begin = 0
    else:
        raise ValueError(
            "expected SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX in the environment with "
            f"'{ARRAY}'; found neither"
        )
    if not count:
        raise ValueError(f"expected {ARRAY}/<number of tasks>, as the environment states none")
    return f"{int(index) - begin + 1}/{count}"


def epochs_list(text: str) -> tuple[float, ...]:
    """Epochs from a text that joins them by colons, such as 50:60; empty for none."""
    return tuple(number(part) for part in text.split(":") if part)


def as_flag_text(value: Any) -> str:
    """A flag's value as it is written on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and not isinstance(value, PhaseList):
        return ":".join(as_flag_text(part) for part in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
