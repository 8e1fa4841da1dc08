"""Names that settings of training take: ends of phases, point terms, decays of the rate.

Importing this module imports no TensorFlow.
"""

from typing import NamedTuple

from rt_tf.catalogue.entries import Entry


class Named(NamedTuple):
    """The entry of a name that a setting takes: its summary in a line."""

    summary: str


class Decay(NamedTuple):
    """A decay of the learning rate.

    counts: the numbers of epochs that may drive it; driven_by: the same in words, for messages.
    """

    summary: str
    counts: range
    driven_by: str


ENDS = {
    "epochs": Named("after its epochs"),
    "stable": Named("or once its loss has stabilised: an epoch gains less than its noise (DAT)"),
    "overfit": Named(
        "or once 5-step PGD on one minibatch, after an epoch and within those of the ramps, breaks "
        "far more than before or than the attack of training: then with the last good weights "
        "(catastrophic overfitting)"
    ),
}

# Point terms that are more than an attack on the image: functions of a phase. Attacks are in
# rt_tf.catalogue.attacks.
_TERMS = "rt_tf.training.objectives.point_terms"
POINT_TERMS = {
    "free": Entry(
        f"{_TERMS}:free",
        "Free: a step of eps by each training step's own gradient, from where it was",
    ),
    "each": Entry(
        f"{_TERMS}:each",
        "PGD in each part of a union; the mean of the losses there counts (PGD-aug)",
    ),
    "latent": Entry(
        f"{_TERMS}:latent", "COLT: PGD in what bounds allow a hidden layer, see latent_layer"
    ),
}

# The five of Wong 2020 (thesis), section 4.3.2.
DECAYS = {
    "piecewise": Decay(
        "multiplied by decay_factor at every epoch of decay_epochs",
        range(1000),
        "any number of epochs",
    ),
    "multiple": Decay(
        "lowered by one amount at every epoch of decay_epochs, in all to decay_factor of it",
        range(1, 1000),
        "at least one epoch",
    ),
    "linear": Decay(
        "a line between two epochs, down to decay_factor of it", range(2, 3), "two epochs"
    ),
    "cyclic": Decay("from 0 up to it at one epoch, and down to 0", range(1, 2), "one epoch"),
    "cosine": Decay("half a wave of the cosine, down to 0", range(1), "no epochs"),
}
