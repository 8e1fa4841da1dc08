"""The endpoints of a SavedModel: a table of functions of tensors.

    serve(image) -> logits, label, in_domain
    certify(image, epsilon) -> label, in_domain, certified, margin: by the better of the methods
    certify_<method>(image, epsilon) -> as certify, by that method alone
    radius(image, epsilon) -> label, in_domain, radius, method: the largest certified radius up to
        epsilon, of `bisection.STEPS` + 1 trials; 0 if none was certified

image: [batch, ...] float32. epsilon: float32, a scalar, or [batch] with a radius for each image, as
a server needs that joins requests; InvalidArgumentError for any other shape. All outputs but the
logits [batch, classes] are [batch]. `label` is the network's answer; a cascade's is its first
member's, and the cascade stands by it where it is certified. `in_domain` is false for an image that
is not finite or outside of the domain: what is certified says nothing of it. Logits, labels and
bounds are of the traced layers, without a softmax at the network's end. Certificates have no
gradients.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from rt_tf import models
from rt_tf.bounds import cascade
from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.result import Bounds
from rt_tf.bounds.rounding import products_are_exact
from rt_tf.domain import UNIT, Given
from rt_tf.network.maps.convolution import without_gradients
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.serving import bisection
from rt_tf.threats.region import Region, Threat, largest_radius

NO_METHOD = "none"
PROBE, RADIUS_PROBE = 0.01, 0.3


class Endpoint(NamedTuple):
    """One row of the table.

    compute: (image) or (image, epsilon) -> outputs. compared: the output whose parity is checked.
    probe: the epsilon of that check, None where the endpoint takes none. compiled: the check runs
    it compiled, since its parts are checked elsewhere. resolution: by how much the compared output
    may differ besides rounding.
    """

    compute: Callable[..., dict[str, Tensor]]
    compared: str
    probe: float | None = None
    compiled: bool = False
    resolution: float = 0.0


def endpoints(network: keras.Model, threat: Threat, domain: Given = UNIT) -> dict[str, Endpoint]:
    """The table of endpoints by name; it has certificates if the threat has a support function.

    domain: of the network's input; an image outside of it is answered, but not certified. UserError
    for certificates of a network that is not in float32.
    """
    wirings = [trace(member, domain=domain) for member in models.members(network)]
    table = {"serve": Endpoint(_serve(wirings[0]), "logits")}
    if threat.has_support:
        certifier = Certifier(wirings, threat)
        table["certify"] = Endpoint(_certify(certifier, list(cascade.SERVED)), "margin", PROBE)
        for name in cascade.SERVED:
            alone = _certify(certifier, [name])
            table[f"certify_{name}"] = Endpoint(alone, "margin", PROBE, compiled=True)
        step = 2.0 * RADIUS_PROBE / 2**bisection.STEPS
        largest = _radius(certifier)
        table["radius"] = Endpoint(largest, "radius", RADIUS_PROBE, True, step)
    return table


class InProcess:
    """The endpoints of a network as functions of this process, as a loaded SavedModel has them."""

    def __init__(self, network: keras.Model, threat: Threat, domain: Given = UNIT) -> None:
        self.table = endpoints(network, threat, domain)
        for name, signature in signatures(self.table, network.input_shape[1:]).items():
            compute = self.table[name].compute
            function = tf.function(compute, input_signature=signature, autograph=False)
            setattr(self, name, function)


def signatures(
    table: Mapping[str, Endpoint], shape: Sequence[int]
) -> dict[str, list[tf.TensorSpec]]:
    """The signature of each endpoint of a table, by name. shape: of an input, without batch."""
    image = tf.TensorSpec([None, *shape], tf.float32, name="image")
    epsilon = tf.TensorSpec(None, tf.float32, name="epsilon")
    return {name: [image] if e.probe is None else [image, epsilon] for name, e in table.items()}


class Certifier:
    """The computations that certify a network's answers, shared by all endpoints.

    A network has one member; a cascade's answer is that of `bounds.cascade`. margins: by method,
    compiled functions (image, labels [batch, members], epsilon [batch]) -> [batch].
    """

    def __init__(self, wirings: Sequence[Wiring], threat: Threat) -> None:
        self.wirings = [wiring.certifiable() for wiring in wirings]
        self.threat = threat
        self.largest = largest_radius(threat, wirings[0].domain)
        self.margins = {name: self._shared(bounds) for name, bounds in cascade.SERVED.items()}

    def labels(self, image: Tensor) -> Tensor:
        """The label of each member: [batch, members]."""
        return tf.stack([_answer(wiring, image)["label"] for wiring in self.wirings], axis=1)

    def in_domain(self, image: Tensor) -> Tensor:
        """Whether each image is finite and within the network's domain: [batch] bool."""
        return self.wirings[0].domain.contains(image)

    def first_method(
        self, image: Tensor, labels: Tensor, epsilon: Tensor, wanted: Tensor
    ) -> Tensor:
        """The number, from 1, of the first method that certifies; 0 if none does: [batch] int32.

        image: [batch, ...]; labels: [batch, members]; epsilon: [batch]; wanted: [batch] bool, the
        examples to certify. A method sees the examples that those before it left open.
        """
        first = tf.zeros_like(epsilon, tf.int32)
        for number, margins in enumerate(self.margins.values(), start=1):
            left = tf.where(wanted & (first == 0))[:, 0]
            rows = [tf.gather(values, left) for values in (image, labels, epsilon)]
            margin = tf.cond(
                tf.size(left) > 0, functools.partial(margins, *rows), lambda: tf.zeros([0])
            )
            new = number * tf.cast(margin > 0.0, tf.int32)
            first = tf.tensor_scatter_nd_update(first, left[:, tf.newaxis], new)
        return first

    def _shared(self, bounds: Callable[..., Bounds]) -> Callable[..., Tensor]:
        image = tf.TensorSpec([None, *self.wirings[0].input_shape], tf.float32)
        labels = tf.TensorSpec([None, len(self.wirings)], tf.int64)
        epsilon = tf.TensorSpec([None], tf.float32)

        def margin(image: Tensor, labels: Tensor, epsilon: Tensor) -> Tensor:
            by_member = tf.unstack(labels, axis=1)
            with without_gradients():
                margins = [
                    certified_margin(wiring, self.threat, bounds, image, by_member[0], epsilon)
                    for wiring in self.wirings
                ]
            return tf.stop_gradient(cascade.answer(by_member, margins).margin)

        return tf.function(margin, input_signature=[image, labels, epsilon], autograph=False)


def certified_margin(
    wiring: Wiring,
    threat: Threat,
    bounds: Callable[..., Bounds],
    image: Tensor,
    label: Tensor,
    epsilon: Tensor,
) -> Tensor:
    """A lower bound of the least margin, sound in arithmetic; -inf where undefined: [batch].

    image: [batch, ...]; label, epsilon: [batch]. It is undefined for images outside of the wiring's
    domain, for radii that are negative or above the threat's largest, and where products are
    coarse (TF32).
    """
    region, spec = Region(threat, image, epsilon, wiring.domain), margin_rows(label, wiring.classes)
    margins = bounds(wiring.lower(), region, spec, arithmetic="sound").margins
    valid = wiring.domain.contains(image) & (epsilon >= 0.0)
    valid &= epsilon <= largest_radius(threat, wiring.domain)
    valid &= products_are_exact(tf.cast(tf.size(image) > 0, tf.float32))
    return tf.where(valid, tf.reduce_min(margins, axis=1), -float("inf"))


def _serve(wiring: Wiring) -> Callable[..., dict[str, Tensor]]:
    @tf.autograph.experimental.do_not_convert
    def serve(image: Tensor) -> dict[str, Tensor]:
        return _answer(wiring, image)

    return serve


def _answer(wiring: Wiring, image: Tensor) -> dict[str, Tensor]:
    """A network's answer to each image, computed by its layers in the wiring's order."""
    logits, _ = wiring.forward(image)
    return {
        "logits": logits,
        "label": tf.argmax(logits, axis=-1),
        "in_domain": wiring.domain.contains(image),
    }


def _certify(certifier: Certifier, methods: Sequence[str]) -> Callable[..., dict[str, Tensor]]:
    """The certificate of the predicted class: no point of the region is answered otherwise."""

    @tf.autograph.experimental.do_not_convert
    def certify(image: Tensor, epsilon: Tensor) -> dict[str, Tensor]:
        labels = certifier.labels(image)
        arguments = image, labels, _each(epsilon, image)
        margin = functools.reduce(
            tf.maximum, [certifier.margins[name](*arguments) for name in methods]
        )
        answer = {"label": labels[:, 0], "in_domain": certifier.in_domain(image)}
        return {**answer, "certified": margin > 0.0, "margin": margin}

    return certify


def _radius(certifier: Certifier) -> Callable[..., dict[str, Tensor]]:
    """A certified radius of the predicted class, and the cheapest method that certifies it."""

    @tf.autograph.experimental.do_not_convert
    def largest(image: Tensor, epsilon: Tensor) -> dict[str, Tensor]:
        labels = certifier.labels(image)
        cap = tf.minimum(_each(epsilon, image), certifier.largest)
        certify = functools.partial(certifier.first_method, image, labels)
        result = bisection.largest(certify, cap)
        method = tf.gather(tf.constant([NO_METHOD, *cascade.SERVED]), result.by)
        answer = {"label": labels[:, 0], "in_domain": certifier.in_domain(image)}
        return {**answer, "radius": result.radius, "method": method}

    return largest


def _each(epsilon: Tensor, image: Tensor) -> Tensor:
    """The radius of each image: [batch].

    epsilon: a scalar, or [batch]. InvalidArgumentError for any other shape, also for one that would
    broadcast: no image gets another one's radius.
    """
    batch, shape = tf.shape(image)[:1], tf.shape(epsilon)
    fits = (tf.size(shape) == 0) | ((tf.size(shape) == 1) & tf.reduce_all(shape == batch))
    refusal = "epsilon: expected one number, or one for each image, [batch]; received the shapes"
    check = tf.debugging.Assert(
        fits, [refusal, shape, "of epsilon and", tf.shape(image), "of image"]
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.broadcast_to(epsilon, batch)
