"""Point terms that are more than an attack on the image, from the settings of a phase."""

from rt_tf import catalogue
from rt_tf.training.objectives.point import EachPart, Free, Latent
from rt_tf.training.phases import Phase


def free(phase: Phase) -> Free:
    """Free: a step by each training step's own gradient."""
    return Free()


def each(phase: Phase) -> EachPart:
    """PGD in each part of a union."""
    settings = {"steps": phase.attack_steps, "step_size": phase.attack_step_size}
    return EachPart(
        catalogue.attack("pgd", settings), catalogue.resolve("start", phase.attack_start)
    )


def latent(phase: Phase) -> Latent:
    """COLT's PGD in the region of a hidden layer."""
    return Latent(phase.latent_layer, phase.attack_steps, phase.attack_step_size)
