"""Checks that attacks are possible, and warnings that their results may mislead.

Checks raise UserError; warnings are returned, a line each. Source: Croce & Hein 2020 (Reliable
evaluation) and the flags of the authors' evaluation since.
"""

import dataclasses
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from rt_tf.attacks.losses import cross_entropy, dlr_or_margin, odds
from rt_tf.attacks.task import Network, Task
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

SUM = 1e-4  # by which a softmax's outputs may miss a sum of one
ZERO = 0.1  # share of examples without a gradient from which on it is worth a warning

LOSSES = {"cross-entropy": cross_entropy, "DLR": dlr_or_margin, "log-odds": odds}
GRADIENTS = re.compile(r"(Grad|GradV\d+|GradGrad|Grad2)$|Backprop")
RANDOM = re.compile(r"Random|Multinomial|TruncatedNormal|^StatefulUniform|^StatefulStandardNormal")


def check_inputs(
    images: np.ndarray, labels: np.ndarray, classes: int, domain: Given = UNIT
) -> None:
    """Raises UserError unless images [n, ...] are in the domain and labels [n] are classes."""
    if len(images) != len(labels):
        raise UserError(
            f"labels: expected {len(images)}, as many as images; received {len(labels)}"
        )
    Domain.of(domain).check(images)
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"labels: expected integers; received {labels.dtype}")
    valid = (labels >= 0) & (labels < classes)
    if not valid.all():
        raise UserError(
            f"labels: expected classes 0 to {classes - 1}; received {(~valid).sum()} others of "
            f"{valid.size}, as {labels[~valid][0]}"
        )


def refuse_features(attack: str, region: Region) -> None:
    """Raises UserError where features have radii of their own, which one norm cannot heed."""
    if getattr(region.threat, "scale", None) is not None:
        raise UserError(
            f"{attack}: expected one radius for all features; received one for each; pgd, apgd and "
            "square heed them"
        )


def refuse_unlimited(attack: str, region: Region) -> None:
    """Raises UserError where inputs have no ends, to which an attack would set them."""
    if not region.domain.is_by_example and not region.domain.is_bounded:
        raise UserError(
            f"{attack}: expected a domain with ends for every feature; received {region.domain}"
        )


def check_network(network: Network, images: np.ndarray, labels: np.ndarray) -> None:
    """Raises UserError unless the loss has a finite gradient in these images [n, ...].

    labels: [n].
    """
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


def randomised(network: Network, x: Tensor) -> list[str]:
    """Warnings of a network that answers the same images x [batch, ...] differently."""
    first, second = network(x), network(x)
    differ = tf.reduce_any(first != second, axis=-1)
    count = int(tf.reduce_sum(tf.cast(differ, tf.int32)))
    if not count:
        return []
    return [
        f"the network is randomised: {count} of {len(differ)} answers differ when asked again; "
        "attacks for networks that draw random numbers would be stronger"
    ]


def probabilities(logits: Tensor) -> list[str]:
    """Warnings of outputs [batch, classes] of a softmax: not negative, and of sum one."""
    logits = tf.cast(logits, tf.float32)
    positive = tf.reduce_all(logits >= 0.0)
    sums = tf.reduce_all(tf.abs(tf.reduce_sum(logits, axis=-1) - 1.0) <= SUM)
    if not len(logits) or not bool(positive & sums):
        return []
    return [
        "the network returns probabilities, not logits: the cross-entropy's gradient vanishes; "
        "take the softmax away"
    ]


def vanishing_gradients(task: Task, x: Tensor) -> list[str]:
    """Warnings of losses without any gradient at some of the points x, [batch, ...].

    Points on which the network errs do not count.
    """
    right = ~task.errs(task.logits(x))
    warnings = []
    for name, loss in LOSSES.items():
        gradient = dataclasses.replace(task, loss=loss).evaluate(x).gradient
        zero = tf.reduce_all(gradient == 0.0, axis=list(range(1, x.shape.rank)))
        count = int(tf.reduce_sum(tf.cast(zero & right, tf.int32)))
        if count > ZERO * int(tf.reduce_sum(tf.cast(right, tf.int32))):
            warnings.append(
                f"the {name} loss has a zero gradient at {count} of {len(right)} points: attacks "
                "that climb it fail there whether the network is robust or not"
            )
    return warnings


def inner_work(network: tf.types.experimental.ConcreteFunction) -> list[str]:
    """Warnings of a network's graph that takes gradients, or draws random numbers, to answer."""
    names = set(_operations(network.graph.as_graph_def()))
    gradients = sorted(name for name in names if GRADIENTS.search(name))
    random = sorted(name for name in names if RANDOM.search(name))
    warnings = []
    if gradients:
        warnings.append(
            f"the network optimises while it answers (operations {', '.join(gradients)}): its "
            "gradient may mislead attacks, and Square alone tells"
        )
    if random:
        warnings.append(
            f"the network draws random numbers (operations {', '.join(random)}): attacks for "
            "networks that do would be stronger"
        )
    return warnings


def black_box_ahead(successes: int, remaining: int) -> list[str]:
    """Warnings of an attack without gradients that succeeds where those with gradients did not.

    successes: its number of them among the `remaining` examples.
    """
    if not successes:
        return []
    return [
        f"an attack without gradients found {successes} of the {remaining} examples that attacks "
        "by gradients had left: the gradients may be masked"
    ]


def _operations(graph: tf.compat.v1.GraphDef) -> Iterator[str]:
    """The types of all operations that a graph runs, with those of functions it calls."""
    library = {function.signature.name: function.node_def for function in graph.library.function}
    waiting, names = [graph.node], set()
    while waiting:
        for node in waiting.pop():
            yield node.op
            for name in _called(node):
                if name in library and name not in names:
                    names.add(name)
                    waiting.append(library[name])


def _called(node: tf.compat.v1.NodeDef) -> Iterator[str]:
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            yield function.name
