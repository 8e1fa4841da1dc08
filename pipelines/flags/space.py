"""The space of a search: a JSON file of flags and of the values they may have.

Imports no TensorFlow.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from pipelines.flags import data
from pipelines.flags.flag_files import existing
from pipelines.flags.run import EVALUATION, OF_ONE_COMMAND, OPERATIONAL, run_flags
from rt_tf.catalogue.training import Named
from rt_tf.errors import UserError

OBJECTIVES = ("auto", "verified", "attacked", "clean")
KINDS = {  # the settings that each kind needs
    "float": {"min_value", "max_value"},
    "int": {"min_value", "max_value"},
    "choice": {"values"},
    "boolean": set(),
}
BESIDES = {"float": {"step", "sampling"}, "int": {"step", "sampling"}, "choice": {"ordered"}}
# Flags that define the question; trials that differ in one would not be comparable.
THE_QUESTION = {*data.NAMES, "validation", "threat", "epsilon", "union_radii", "select_by"}
THE_QUESTION |= {"input_range"}
THE_QUESTION |= {"transport_size", "transport_power", "transport_weight"}
THE_QUESTION |= {"monitor_samples", "monitor_attack_steps", "monitor_every", "monitor_bound"}


TUNERS = {
    "bayesian": Named("values that a model of the earlier trials' results proposes"),
    "random": Named("random values"),
}


class Space(NamedTuple):
    """A space of flags.

    flags: keras-tuner's settings by a flag's name, with their `kind`. text: these as a line of
    JSON.
    """

    flags: dict[str, dict[str, Any]]
    text: str


def read_space(path: str, values: flags.FlagValues) -> Space:
    """The space in a file; UserError for names or values that are no flag's.

    path: of a file of the working folder, or of one of configs/.
    """
    try:
        space = json.loads((existing(path) or Path(path)).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"space: expected a JSON file; {path} is not: {error}") from error
    if not isinstance(space, dict) or not space:
        raise UserError(f"space: expected names of flags with settings in {path}; received none")
    for name, settings in space.items():
        _check(name, settings, values)
    return Space(space, json.dumps(space, sort_keys=True))


def as_flag(value: Any) -> str:
    """The flag's text for a value of a space."""
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
    allowed = needed | BESIDES.get(kind, set())
    if not needed <= received <= allowed:
        raise UserError(
            f"space: expected {', '.join(sorted(allowed)) or 'nothing else'} for '{name}'; "
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
