"""A provably trained, an untrained and a naturally trained network of one data set, and images."""

from typing import Any, NamedTuple

import keras
import numpy as np

from benchmarks.margins import Question
from pipelines.assembly.inputs import load_data
from pipelines.runs.directory import RunDirectory, trained_flags
from pipelines.runs.restoring import load_network
from rt_tf import data, models
from rt_tf.bounds.methods import interval_bounds
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.threats.linf import Linf
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.worst_case import WorstCase

EPS = 0.05
ARCHITECTURE = "digits_cnn"
PROVABLE_EPOCHS, NATURAL_EPOCHS, BATCH = 40, 10, 50


class Networks(NamedTuple):
    """Networks of the same data by name, its test split, and the radius that one is trained for."""

    by_name: dict[str, keras.Model]
    test: data.Split
    classes: int
    eps: float

    def question(self, samples: int, eps: float | None) -> Question:
        """The first test images, each with another class that is drawn for it.

        UserError for radii beyond 1, and for more images than there are.
        """
        if not 1 <= samples <= len(self.test):
            raise UserError(f"samples: expected 1 to {len(self.test)}; received {samples}")
        if eps is not None and not 0.0 <= eps <= 1.0:
            raise UserError(f"epsilon: expected a radius in [0, 1]; received {radius_text(eps)}")
        images, labels = self.test.images()[:samples], self.test.labels[:samples]
        draw = np.random.default_rng(0)
        others = (labels + draw.integers(1, self.classes, len(labels))) % self.classes
        return Question(images, labels, others, self.eps if eps is None else eps)


def chosen(model_dir: str | None, natural: str | None, data_dir: str | None) -> Networks:
    """The networks of runs, or of digits without `model_dir`.

    UserError for a natural run without `model_dir`.
    """
    if model_dir is not None:
        return of_runs(model_dir, natural, data_dir)
    if natural is not None:
        raise UserError(
            f"natural: expected --model_dir=<a provably trained run> beside it; received {natural}"
        )
    return of_digits(data_dir)


def of_digits(data_dir: str | None) -> Networks:
    """Networks of digits, trained in half a minute: by interval bounds at EPS, and without."""
    dataset = data.load("digits", data_dir)
    provable = trained(dataset, EPS, PROVABLE_EPOCHS)
    natural = trained(dataset, 0.0, NATURAL_EPOCHS)
    untrained = models.build(ARCHITECTURE, dataset.shape, dataset.classes)
    by_name = {"provable": provable, "random": untrained, "natural": natural}
    return Networks(by_name, dataset.test, dataset.classes, EPS)


def of_runs(provable: str, natural: str | None, data_dir: str | None) -> Networks:
    """The networks of finished runs, and a random one. UserError for runs on different data."""
    values = trained_flags(provable)
    values.data_dir = data_dir or values.data_dir
    dataset = load_data(values)
    keras.utils.set_random_seed(0)
    by_name = {
        "provable": load_network(RunDirectory(provable)),
        "random": models.build(
            values.model, dataset.shape, dataset.classes, scale=values.model_scale
        ),
    }
    if natural is not None:
        other = trained_flags(natural).dataset
        if other != values.dataset:
            raise UserError(
                f"natural: expected a run on {values.dataset}; received {natural}, on {other}"
            )
        by_name["natural"] = load_network(RunDirectory(natural))
    return Networks(by_name, dataset.test, dataset.classes, values.epsilon)


def trained(dataset: data.DataSet, eps: float, epochs: int) -> keras.Model:
    """A new network, trained by interval bounds at a radius that grows over the first half."""
    keras.utils.set_random_seed(0)
    init = "shi" if eps else "keras"
    network = models.build(ARCHITECTURE, dataset.shape, dataset.classes, init=init)
    robust = RobustModel(network)
    bound = WorstCase(interval_bounds) if eps else None
    adam = keras.optimizers.Adam(2e-3)
    robust.compile(adam, objective=Objective(Linf(), bound=bound), jit_compile=False)
    steps = len(dataset.train) // BATCH * epochs // 2
    robust.kappa.assign(0.5 if eps else 0.0)

    def grow(batch: int, logs: Any) -> None:
        robust.eps.assign(eps * min(1.0, int(robust.optimizer.iterations) / steps))

    robust.fit(
        dataset.train.images(),
        dataset.train.labels,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=grow)],
    )
    return network
