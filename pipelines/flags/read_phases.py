"""The phases that flags describe. Imports no TensorFlow: a bad combination is refused at once."""

import dataclasses
import itertools
from typing import Any

from absl import flags

from pipelines.flags.group import broadcast
from pipelines.flags.phases import PHASE_FLAGS
from rt_tf.errors import UserError
from rt_tf.training.phases import Phase, own_epochs


def read_phases(values: flags.FlagValues) -> list[Phase]:
    """The phases that the flags describe, each checked; UserError for settings that do not fit."""
    phases = [_phase(row, values.epsilon) for row in broadcast(values, PHASE_FLAGS)]
    _refuse_empty(phases)
    _refuse_worn(phases)
    _refuse_momentum(values)
    if values.extra_data and any(phase.new_member for phase in phases):
        raise UserError(
            "extra_data: expected none for a cascade, whose members learn what those before them "
            f"leave open; received {values.extra_data}"
        )
    for phase in phases:
        phase.check()
        if phase.bound_samples > values.batch_size:
            raise UserError(
                f"bound_samples: expected at most --batch_size={values.batch_size}; "
                f"received {phase.bound_samples}"
            )
        if phase.kappa_step and phase.kappa_every % values.monitor_every:
            raise UserError(
                f"kappa_every: expected a multiple of --monitor_every={values.monitor_every}, as "
                f"kappa moves by what is monitored; received {phase.kappa_every}"
            )
    return phases


def _refuse_empty(phases: list[Phase]) -> None:
    """Raises UserError for a phase that the clock of the run may leave without epochs."""
    for phase, left in zip(phases, own_epochs(phases), strict=True):
        if phase.clock == "run" and left <= phase.ramped:
            raise UserError(
                f"epochs: expected more than the {phase.epochs - left} of the phases before and "
                f"the ramps' {phase.ramped:g}, as --phase_clock=run counts from the beginning; "
                f"received {phase.epochs}"
            )
    if phases[0].new_member:
        raise UserError(
            "new_member: expected false in the first phase, which has the first member of a "
            "cascade; received true"
        )


def _refuse_worn(phases: list[Phase]) -> None:
    """Raises UserError for an optimizer that would go on with other weights than it has seen."""
    for before, phase in itertools.pairwise(phases):
        if not phase.reset_optimizer and (phase.new_member or before.until == "overfit"):
            why = "--new_member=true" if phase.new_member else "--phase_until=overfit before"
            raise UserError(f"reset_optimizer: expected true with {why}; received false")


def _refuse_momentum(values: flags.FlagValues) -> None:
    """Raises UserError for flags of sgd that would change nothing."""
    if values.optimizer != "sgd" and values.momentum is not None:
        raise UserError(
            f"momentum: expected none with --optimizer={values.optimizer}, as it is for sgd; "
            f"received {values.momentum:g}"
        )
    if values.nesterov and (values.optimizer != "sgd" or values.momentum == 0.0):
        received = (
            f"--optimizer={values.optimizer}" if values.optimizer != "sgd" else "--momentum=0"
        )
        raise UserError(
            f"nesterov: expected false, or --optimizer=sgd with momentum; received true with "
            f"{received}"
        )


def _phase(row: dict[str, Any], epsilon: float) -> Phase:
    renamed = {"phase_until": "until", "phase_clock": "clock", "epsilon_from": "eps_from"}
    renamed |= {"epsilon_ramp_epochs": "eps_ramp_epochs", "train_epsilon": "eps"}
    options = {renamed.get(name, name): value for name, value in row.items()}
    return dataclasses.replace(Phase(**options), eps=row["train_epsilon"] or epsilon)
