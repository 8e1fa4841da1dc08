"""Whether attacks can be asked about: their inputs, and the network's gradient."""

import numpy as np
import tensorflow as tf

from rt_tf.attacks.losses import cross_entropy
from rt_tf.attacks.task import Network
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.threats.region import Region


def check_inputs(
    images: np.ndarray, labels: np.ndarray, classes: int, domain: Given = UNIT
) -> None:
    """UserError unless images [n, ...] are in the domain and labels [n] are classes."""
    if len(images) != len(labels):
        raise UserError(
            f"labels: expected {len(images)}, as many as images; received {len(labels)}"
        )
    Domain.of(domain).check(images)
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"labels: expected integers; received {labels.dtype}")
    known = (labels >= 0) & (labels < classes)
    if not known.all():
        raise UserError(
            f"labels: expected classes 0 to {classes - 1}; received {(~known).sum()} others of "
            f"{known.size}, as {labels[~known][0]}"
        )


def refuse_features(attack: str, region: Region) -> None:
    """UserError where features have radii of their own, which an attack by one norm cannot heed."""
    if getattr(region.threat, "scale", None) is not None:
        raise UserError(
            f"{attack}: expected one radius for all features; received one for each; pgd, apgd and "
            "square heed them"
        )


def refuse_unlimited(attack: str, region: Region) -> None:
    """UserError where inputs have no ends, to which an attack would set them."""
    if not region.domain.is_by_example and not region.domain.is_bounded:
        raise UserError(
            f"{attack}: expected a domain with ends for every feature; received {region.domain}"
        )


def check_network(network: Network, images: np.ndarray, labels: np.ndarray) -> None:
    """UserError unless the network's loss has a finite gradient in the pixels of these images."""
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = cross_entropy(tf.cast(network(x), tf.float32), tf.constant(labels))
    gradient = tape.gradient(loss, x)
    if gradient is None:
        raise _no_gradient("none")
    if not np.isfinite(gradient).all():
        raise _no_gradient("one that is not finite")


def _no_gradient(received: str) -> UserError:
    return UserError(
        "network: expected one with a gradient in its input; "
        f"received {received}; an attack without gradients such as square works"
    )
