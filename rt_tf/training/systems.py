"""A published system as a phase of training."""

import dataclasses

from rt_tf import numbers
from rt_tf.catalogue.systems import SYSTEMS, System
from rt_tf.errors import refuse_unknown
from rt_tf.training.phases import Phase

LENGTHS = ("warmup_epochs", "eps_ramp_epochs", "kappa_ramp_epochs")


def find_system(name: str) -> System:
    """The catalogue's entry of a system; UserError lists those that there are."""
    refuse_unknown("system", name, SYSTEMS)
    return SYSTEMS[name]


def phase_of(name: str, eps: float, epochs: int | None = None) -> Phase:
    """The phase of a system at a radius; its schedule is stretched to so many epochs.

    UserError for a name that the catalogue does not have, and for epochs below 1.
    """
    system = find_system(name)
    if epochs is not None:
        epochs = numbers.whole("epochs", epochs, 1)
    phase = Phase(system.epochs, **system.settings)
    eps, eps_from = system.train_eps * eps, system.eps_from * eps
    phase = dataclasses.replace(phase, eps=eps, eps_from=eps_from)
    return phase if epochs is None else _stretched(phase, epochs)


def _stretched(phase: Phase, epochs: int) -> Phase:
    share = epochs / phase.epochs
    lengths = {name: share * getattr(phase, name) for name in LENGTHS}
    decay = tuple(share * epoch for epoch in phase.decay_epochs)
    return dataclasses.replace(phase, epochs=epochs, decay_epochs=decay, **lengths)
