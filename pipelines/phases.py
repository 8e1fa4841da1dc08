"""From flags to phases. Imports no TensorFlow, so that a bad combination is answered at once."""

import dataclasses
from typing import Any

from absl import flags

from pipelines.parsing import broadcast
from pipelines.phase_flags import PHASE_FLAGS
from rt_tf.errors import UserError
from rt_tf.training.phases import Phase


def read_phases(values: flags.FlagValues) -> list[Phase]:
    """The phases that the flags describe, each checked; UserError names what does not fit."""
    found = [_phase(row, values.epsilon) for row in broadcast(values, PHASE_FLAGS)]
    for phase in found:
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
    return found


def _phase(row: dict[str, Any], epsilon: float) -> Phase:
    renamed = {"phase_until": "until", "phase_clock": "clock", "epsilon_from": "eps_from"}
    renamed |= {"epsilon_ramp_epochs": "eps_ramp_epochs", "train_epsilon": "eps"}
    options = {renamed.get(name, name): value for name, value in row.items()}
    return dataclasses.replace(Phase(**options), eps=row["train_epsilon"] or epsilon)
