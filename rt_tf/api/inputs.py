"""The inputs of the Python door: models, data, threats and radii as users have them."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rt_tf import catalogue, models, numbers
from rt_tf.catalogue.attacks import NORMS
from rt_tf.certification.intake import images_of, labels_of
from rt_tf.data.arrays import ArrayExamples
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.evaluation.refusals import check_radius
from rt_tf.models.inputs import join_inputs, joined, spread
from rt_tf.network.copying import of_two_logits
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Threat
from rt_tf.training.model import RobustModel

DEFAULT = Domain()  # by identity: the domain of a `RobustModel` or a run, [0, 1] for other models


class UserNetwork(NamedTuple):
    """A model to evaluate: the Keras network of logits, and its members traced in one domain.

    several: the user's own network, where it has several inputs.
    """

    keras_model: keras.Model
    members: tuple[Wiring, ...]
    several: keras.Model | None = None

    @property
    def domain(self) -> Domain:
        return self.members[0].domain


def network_of(model: Any, domain: Given = DEFAULT, logits: bool = True) -> UserNetwork:
    """The network of a Keras model, a `RobustModel`, or a run from `rt_tf.load`, in a domain.

    logits: whether it is a classifier; see `trace`. UserError for anything else, and for a network
    that no bound can read.
    """
    if isinstance(model, RobustModel):
        domain = model.wiring.domain if domain is DEFAULT else domain
        model = model.network
    elif isinstance(getattr(model, "model", None), keras.Model):  # a run
        domain = model.domain if domain is DEFAULT else domain
        model = model.model
    if not isinstance(model, keras.Model):
        raise UserError(
            f"model: expected a Keras model or a RobustModel; received {numbers.shown(model)}"
        )
    several = model if len(getattr(model, "inputs", None) or []) > 1 else None
    if several is not None:
        domain, model = _joined_domain(several, domain), join_inputs(several)
    ends = UNIT if domain is DEFAULT else Domain.of(domain)
    model = of_two_logits(model) if logits else model
    members = tuple(trace(member, logits, domain=ends) for member in models.members(model))
    return UserNetwork(model, members, several)


def _joined_domain(network: keras.Model, domain: Any) -> Any:
    """The domain of all inputs in a row. domain: of all alike, or by input's name."""
    if not isinstance(domain, Mapping):
        return domain
    by_name = {name: Domain.of(ends) for name, ends in domain.items()}
    lower = {name: ends.lower for name, ends in by_name.items()}
    upper = {name: ends.upper for name, ends in by_name.items()}
    return spread(network, lower, "domain", 0.0), spread(network, upper, "domain", 1.0)


def examples_of(network: UserNetwork, data: Any, labels: Any = None) -> ArrayExamples:
    """A user's data as examples for a network.

    data: images [n, ...], a pair (images, labels), or a `tf.data.Dataset` of either, batched or
    not; for a network of several inputs, arrays by input's name or in order. labels: [n];
    None for those of the data or, where it has none, the network's classes for the images.
    UserError for data that do not fit the network or its domain.
    """
    if isinstance(data, tf.data.Dataset):
        data = _read(data, network.members[0].input_shape)
    if labels is None and _holds_labels(network, data):
        data, labels = data
    wiring, images = network.members[0], rows_of(network, data)
    if labels is None:
        labels = np.argmax(_answers(wiring, images), axis=-1)
    return ArrayExamples(images, labels_of(wiring, labels, len(images)))


def _holds_labels(network: UserNetwork, data: Any) -> bool:
    """Whether data are a pair of inputs and labels; two inputs of a network are none."""
    is_pair = isinstance(data, tuple | list) and len(data) == 2
    return is_pair and (network.several is None or isinstance(data[0], Mapping | list | tuple))


def rows_of(network: UserNetwork, data: Any) -> np.ndarray:
    """Inputs as float32 [n, ...]; those of a network of several inputs in rows.

    UserError where there are none, and for what does not fit the network or its domain.
    """
    images = images_of(
        network.members[0], data if network.several is None else joined(network.several, data)
    )
    if not len(images):
        raise UserError("images: expected at least one; received none")
    return images


def _read(dataset: tf.data.Dataset, shape: tuple[int, ...]) -> Any:
    """All of a dataset in memory: images, or a pair of images and labels."""
    element = dataset.element_spec
    spec = element[0] if isinstance(element, tuple) else element
    rank = getattr(getattr(spec, "shape", None), "rank", None)
    if rank not in (len(shape), len(shape) + 1):
        raise UserError(
            f"images: expected a dataset of images of shape {list(shape)}, with their labels or "
            f"without; received {element}"
        )
    batches = dataset if rank == len(shape) + 1 else dataset.batch(1000)
    read = list(batches.as_numpy_iterator())
    if not read:
        raise UserError("images: expected at least one; received an empty dataset")
    if not isinstance(element, tuple):
        return np.concatenate(read)
    return tuple(np.concatenate([batch[k] for batch in read]) for k in (0, 1))


def _answers(wiring: Wiring, images: np.ndarray, at_once: int = 1000) -> np.ndarray:
    graph = wiring.lower()
    parts = [graph(images[k : k + at_once]).numpy() for k in range(0, len(images), at_once)]
    return np.concatenate(parts)


def threat_of(threat: Any, norm: Any) -> Threat:
    """The threat of a name, of a norm (inf, 2, 1), or the object itself; Linf without either.

    UserError for a name or a norm that there is not, and for both at once.
    """
    if norm is not None:
        if threat is not None:
            raise UserError(f"norm: expected none with threat={threat!r}; received {norm!r}")
        by_norm: dict[Any, str] = {
            np.inf: "linf",
            2: "l2",
            1: "l1",
            "inf": "linf",
            **{n: n for n in NORMS},
        }
        if norm not in by_norm:
            raise UserError(f"norm: expected inf, 2 or 1; received {numbers.shown(norm)}")
        threat = by_norm[norm]
    if threat is None:
        threat = "linf"
    if isinstance(threat, str):
        entry = catalogue.find("threat", threat)
        if entry.options and threat == "union":
            raise UserError(
                "threat: expected rt_tf.threats.union.Union(radii), which has the radii of its "
                "balls; received 'union'"
            )
        return catalogue.threat(threat)
    return threat


def radius_of(threat: Threat, eps: Any, domain: Given) -> tuple[Threat, float]:
    """The threat, scaled where each feature has its own radius, and the radius.

    eps: a number, or for Linf an array, a radius for each feature. UserError for a radius that is
    not in (0, the threat's largest in the domain].
    """
    if eps is None:
        raise UserError("eps: expected a radius, in the units of the input; received none")
    if np.ndim(eps):
        if threat != Linf():
            raise UserError(
                f"eps: expected a number for {threat.name}; received an array, which is for linf"
            )
        radii = np.asarray(eps, np.float64)
        largest = float(radii.max(initial=0.0))
        if not np.isfinite(radii).all() or (radii < 0.0).any() or largest == 0.0:
            raise UserError("eps: expected finite radii >= 0, one of them above 0; received others")
        threat, eps = Linf(radii / largest), largest
    eps = numbers.between("eps", eps, 0.0, numbers.LARGEST, "a finite number above 0")
    check_radius(threat, eps, "eps", domain)
    return threat, eps


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Switches TF32 off within the block, since its products are too coarse for certificates.

    TensorFlow's warnings are off, too: they would be of functions that each call traces anew.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    logger = tf.get_logger()
    level = logger.level
    tf.config.experimental.enable_tensor_float_32_execution(False)
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
        logger.setLevel(level)
