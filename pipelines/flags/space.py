"""What a search may try: a JSON file of flags and of the values they may have.

Imports no TensorFlow.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from pipelines.flags.run import EVALUATION, OF_ONE_COMMAND, OPERATIONAL, run_flags
from rt_tf.errors import UserError

OBJECTIVES = ("auto", "verified", "attacked", "clean")
KINDS = {  # what each needs
    "float": {"min_value", "max_value"},
    "int": {"min_value", "max_value"},
    "choice": {"values"},
    "boolean": set(),
}
BESIDES = {"float": {"step", "sampling"}, "int": {"step", "sampling"}, "choice": {"ordered"}}
# What decides which question is asked, so that trials would not be comparable.
THE_QUESTION = {"dataset", "validation", "threat", "epsilon", "union_radii", "select_by"}
THE_QUESTION |= {"input_range"}
THE_QUESTION |= {"transport_size", "transport_power", "transport_weight"}
THE_QUESTION |= {"monitor_samples", "monitor_attack_steps", "monitor_every", "monitor_bound"}


class Named(NamedTuple):
    """What a name stands for, in a line."""

    summary: str


TUNERS = {
    "bayesian": Named("a model of what was found says where to look next"),
    "random": Named("random values"),
}


class Space(NamedTuple):
    """flags: by name, keras-tuner's settings with their `kind`. text: the same, as one line."""

    flags: dict[str, dict[str, Any]]
    text: str


def read_space(path: str, values: flags.FlagValues) -> Space:
    """Reads a space; UserError for what is no flag, or for values that the flag does not take."""
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"space: expected a JSON file; {path} is not: {error}") from error
    if not isinstance(found, dict) or not found:
        raise UserError(f"space: expected names of flags with settings in {path}; received none")
    for name, settings in found.items():
        _check(name, settings, values)
    return Space(found, json.dumps(found, sort_keys=True))


def as_flag(value: Any) -> str:
    """A value of a space as the flag's text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(name: str, settings: Any, values: flags.FlagValues) -> None:
    apart = THE_QUESTION | EVALUATION | OPERATIONAL | OF_ONE_COMMAND
    if name not in values or name in apart:
        raise UserError(
            f"space: expected flags that shape the training of a network; received '{name}'"
        )
    kind = settings.get("kind") if isinstance(settings, dict) else None
    if kind not in KINDS:
        raise UserError(
            f"space: expected '{name}' to have a \"kind\" of {', '.join(KINDS)}; received {kind}"
        )
    needed, received = KINDS[kind], set(settings) - {"kind"}
    known = needed | BESIDES.get(kind, set())
    if not needed <= received <= known:
        raise UserError(
            f"space: expected {', '.join(sorted(known)) or 'nothing else'} for '{name}'; "
            f"received {', '.join(sorted(received)) or 'none'}"
        )
    ends = [settings[end] for end in ("min_value", "max_value") if end in settings]
    for value in settings.get("values", ends or [True]):
        _check_value(name, value)


def _check_value(name: str, value: Any) -> None:
    try:
        run_flags({name: as_flag(value)})
    except flags.Error as error:
        raise UserError(f"space: {' '.join(str(error).split())}") from error
