"""The network of a run, and the average of its weights, from flags."""

import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from absl import flags

from pipelines.runs import keras_file
from rt_tf import data, models
from rt_tf.catalogue.models import is_file
from rt_tf.errors import UserError
from rt_tf.training.loop.average import Average

STATISTICS = 2**28  # the most pixel values that statistics are computed from


def network_maker(values: flags.FlagValues, dataset: data.DataSet) -> Callable[[], keras.Model]:
    """A function that makes the network of a run under the dtype policy of the moment."""
    if is_file(values.model):
        return _reader(values, dataset)
    normalization = _statistics(dataset.train) if values.normalization == "dataset" else None

    def make() -> keras.Model:
        return models.build(
            values.model,
            dataset.shape,
            dataset.classes,
            normalization=normalization,
            batch_norm=values.batch_norm,
            init=values.init,
            scale=values.model_scale,
        )

    return make


def _reader(values: flags.FlagValues, dataset: data.DataSet) -> Callable[[], keras.Model]:
    """A function that reads the network of a file, with its weights.

    UserError for flags that shape networks which are made here, and for a network that does not
    fit the data.
    """
    for name in ("normalization", "batch_norm", "init", "model_scale", "precision"):
        if values[name].value != values[name].default:
            raise UserError(
                f"{name}: expected {values[name].default}, the default, with --model={values.model}"
                f"; received {values[name].value}"
            )
    path = Path(values.model)
    if not path.is_file():
        raise UserError(f"model: expected a .keras file; there is no file {path}")

    def make() -> keras.Model:
        network = keras_file.read(path).network
        models.check_fit(values.model, network, dataset.shape, dataset.classes)
        return network

    return make


def under_policy(policy: str, make: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    """A function that makes the same network under a dtype policy."""

    def make_under_policy() -> keras.Model:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return make()
        finally:
            keras.config.set_dtype_policy(before)

    return make_under_policy


def average(values: flags.FlagValues, make: Callable[[], keras.Model]) -> Average | None:
    """The average of the weights of a network that `make` makes; None without `--ema`."""
    return Average(under_policy("float32", make)(), values.ema) if values.ema else None


def _statistics(train: data.Split) -> tuple[list[float], list[float]]:
    """The mean and deviation of each channel, or column, over at most STATISTICS values."""
    shape = train.rows.shape[1:]
    count = min(len(train), STATISTICS // math.prod(shape))
    train = train.select(np.linspace(0, len(train) - 1, count, dtype=np.int64))
    axes, values = tuple(range(len(shape))), len(train) * math.prod(shape[:-1])
    mean = sum(x.sum(axes, np.float64) for x in train.portions()) / values
    squares = sum(np.square(x - mean).sum(axes, np.float64) for x in train.portions())
    return mean.tolist(), np.sqrt(squares / values).tolist()
