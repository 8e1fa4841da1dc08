"""Training from Python by a published system."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf import numbers
from rt_tf.api.inputs import DEFAULT, radius_of, threat_of
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.training.callbacks import Schedule
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.of_phase import objective
from rt_tf.training.phases import Phase
from rt_tf.training.systems import find_system, phase_of


def fit(
    model: keras.Model,
    train: Any,
    validation: Any = None,
    *,
    system: str = "mtl_ibp",
    eps: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Any = None,
    threat: Any = None,
    norm: Any = None,
    domain: Given = DEFAULT,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> RobustModel:
    """Trains a network by a published system, and returns it as a `RobustModel`.

    model: a Keras network of logits, whose weights are trained in place. train, validation: (images
    [n, ...] in the domain, labels [n]), or a `tf.data.Dataset` of such pairs. system: a name of
    `rt_tf.catalogue.systems.SYSTEMS`: natural, pgd, trades, provable, mixtrain, crown_ibp, shi,
    sabr or mtl_ibp. eps: the radius to be robust at. epochs: to which the system's schedule is
    stretched; the system's by default. batch_size: the system's by default. optimizer: Adam at the
    system's learning rate by default; the rate is lowered as the system's. threat, norm, domain: as
    in `rt_tf.certify`. seed: of a step's random choices. callbacks, options: of Keras's `fit`.

    For settings of your own compile a `RobustModel` (docs/keras.md). UserError for what does not
    fit, in one line.

    >>> import keras, numpy as np, rt_tf
    >>> keras.utils.set_random_seed(0)
    >>> images = np.random.default_rng(0).random((200, 2), np.float32)
    >>> labels = (images[:, 0] > images[:, 1]).astype("int64")
    >>> layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    >>> model = keras.Sequential([keras.Input((2,)), *layers])
    >>> adam = keras.optimizers.Adam(0.05)
    >>> robust = rt_tf.fit(
    ...     model, (images, labels), system="shi", eps=0.01, epochs=30, optimizer=adam, verbose=0
    ... )
    >>> result = rt_tf.certify(robust, images, labels, 0.01, rungs=["interval"], progress=False)
    >>> result.certified_accuracy > 0.8
    True
    """
    if not isinstance(model, keras.Model) or isinstance(model, RobustModel):
        raise UserError(f"model: expected a Keras network; received {numbers.shown(model)}")
    entry = find_system(system)
    robust = RobustModel(model, seed, UNIT if domain is DEFAULT else Domain.of(domain))
    region, radius = radius_of(threat_of(threat, norm), eps, robust.wiring.domain)
    phase = phase_of(system, radius, epochs)
    phase.check()
    robust.compile(
        optimizer or keras.optimizers.Adam(phase.learning_rate),
        objective(phase, region, {}),
        clip_norm=entry.clip_norm,
    )
    size = batch_size or entry.batch_size
    x, y = _arrays(train, size)
    if validation is not None:
        options["validation_data"] = _validation(validation, size)
    callbacks = [*_schedules(phase, robust.optimizer), *callbacks]
    batches = {} if y is None else {"batch_size": min(size, len(y))}
    robust.fit(x, y, epochs=phase.epochs, callbacks=callbacks, **batches, **options)
    return robust


def _schedules(
    phase: Phase, optimizer: keras.optimizers.Optimizer
) -> list[keras.callbacks.Callback]:
    """The callbacks that move eps, kappa and the learning rate by the phase's schedules."""
    kappa = (lambda epoch: phase.values(epoch).kappa) if phase.bound != "none" else None
    schedule = Schedule(lambda epoch: phase.values(epoch).eps, kappa)
    scale = float(optimizer.learning_rate) / phase.learning_rate

    def rate(epoch: int, _: float) -> float:
        return scale * phase.values(epoch).learning_rate

    return [schedule, keras.callbacks.LearningRateScheduler(rate)]


def _arrays(data: Any, size: int) -> tuple[Any, np.ndarray | None]:
    """Images and labels as arrays; or a dataset of batches, and None."""
    if isinstance(data, tf.data.Dataset):
        return _batched(data, size), None
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise UserError(
            "train: expected (images, labels) or a tf.data.Dataset of such pairs; received "
            f"{numbers.shown(data)}"
        )
    images = np.asarray(data[0])
    if images.dtype.kind == "f":
        images = images.astype(np.float32)
    return images, np.asarray(data[1])


def _batched(dataset: tf.data.Dataset, size: int) -> tf.data.Dataset:
    """The dataset in batches: as it is, or made of single examples, whose label is a scalar."""
    element = dataset.element_spec
    if not isinstance(element, tuple) or len(element) < 2:
        raise UserError(f"train: expected a dataset of (images, labels); received {element}")
    return dataset if element[1].shape.rank else dataset.batch(size)


def _validation(data: Any, size: int) -> Any:
    x, y = _arrays(data, size)
    return x if y is None else (x, y)
