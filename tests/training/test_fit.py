"""`RobustModel` as a Keras model: inputs and reports of `fit` and `evaluate`, each by a value."""

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import mostly_slow

from rt_tf.attacks import starts
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.bounds.methods import fused_bounds, interval_bounds
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.union import Union
from rt_tf.threats.wasserstein.ball import Wasserstein
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective, Terms
from rt_tf.training.objectives.point import Attacked, EachPart, Free, Latent, Trades
from rt_tf.training.objectives.regularisers import ReluStability, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase
from tests.training.small import CLASSES, batch, compiled, cross_entropy, network

PGD = functools.partial(pgd, steps=2)
BOUNDED = Objective(Linf(), bound=WorstCase(interval_bounds))


def arrays(size: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = batch(size)
    return x.numpy(), y.numpy()


def after(objective: Objective, data: Any, **options: Any) -> list[np.ndarray]:
    """The weights after one epoch of a new network."""
    net = network()
    kappa = 0.5 if objective.bound else 0.0
    compiled(objective, net, eps=0.1, kappa=kappa).fit(*data, verbose=0, shuffle=False, **options)
    return net.get_weights()


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float = 0.0) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance / 10)


# --- what is reported


def test_evaluate_means_over_all_examples_whatever_the_batches() -> None:
    net, (x, y) = network(), arrays(35)
    model = compiled(BOUNDED, net, eps=0.05, kappa=0.5)
    logs = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    logits = net(x).numpy()
    assert logs["accuracy"] == pytest.approx((logits.argmax(1) == y).mean())
    assert logs["point_loss"] == pytest.approx(cross_entropy(logits, y), rel=1e-5)
    assert logs["loss"] == pytest.approx((logs["point_loss"] + logs["bound_loss"]) / 2)
    whole = model.evaluate(x, y, batch_size=35, verbose=0, return_dict=True)
    assert logs == pytest.approx(whole, rel=1e-5)
    assert logs["verified"] == logs["bound_verified"]


def test_history_is_the_epochs_mean_weighted_by_examples() -> None:
    """At a rate of 0 the epoch's mean is the mean of all examples."""
    net, (x, y) = network(), arrays(35)
    model = compiled(BOUNDED, net, eps=0.05, kappa=0.5)
    model.optimizer.learning_rate.assign(0.0)
    history = model.fit(x, y, batch_size=16, validation_data=(x, y), verbose=0).history
    logits = net(x).numpy()
    assert history["point_loss"] == pytest.approx([cross_entropy(logits, y)], rel=1e-5)
    assert history["accuracy"] == pytest.approx([(logits.argmax(1) == y).mean()])
    assert history["val_loss"] == pytest.approx(history["loss"], rel=1e-5)
    assert "verified" not in history
    assert "val_verified" in history
    assert "penalty" not in history


@pytest.mark.parametrize("objective", [Objective(Linf(), Attacked(PGD)), BOUNDED])
def test_compiled_metrics_are_of_the_images_logits(objective: Objective) -> None:
    net, (x, y) = network(), arrays(20)
    model = RobustModel(net)
    metrics = ["accuracy", keras.metrics.SparseCategoricalCrossentropy("nll", from_logits=True)]
    kappa = 0.0 if objective.bound is None else 0.5
    model.compile("sgd", objective, eps=0.3, kappa=kappa, metrics=metrics)
    before = net(x).numpy()
    history = model.fit(x, y, batch_size=20, verbose=0).history
    assert history["nll"] == pytest.approx([cross_entropy(before, y)], rel=1e-5)
    assert history["accuracy"] == pytest.approx([(before.argmax(1) == y).mean()])


def test_the_metrics_pass_leaves_training_as_it_is() -> None:
    """Without metrics there is no further pass, and with them nothing is drawn or moved."""
    weights = []
    for metrics in ([], ["accuracy"]):
        net = network()
        model = RobustModel(net)
        model.compile("adam", Objective(Linf(), Attacked(PGD)), eps=0.1, metrics=metrics)
        history = model.fit(*arrays(24), batch_size=8, shuffle=False, verbose=0).history
        assert ("accuracy" in history) == bool(metrics)
        weights.append(net.get_weights())
    assert_equal(*weights)


def test_a_test_evaluates_the_attacked_objective_and_leaves_nothing_behind() -> None:
    net, (x, y) = network(), arrays(24)
    model = compiled(Objective(Linf(), Attacked(PGD, start=None)), net, eps=0.3)
    model.fit(x, y, verbose=0)
    moves, weights = tf.identity(model.moves), net.get_weights()
    logs = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
    assert logs["point_loss"] > cross_entropy(net(x), y) + 0.01
    assert logs["point_accuracy"] < logs["accuracy"]
    np.testing.assert_array_equal(model.moves, moves)
    assert_equal(net.get_weights(), weights)


def test_a_threat_without_bounds_reports_no_verified_share() -> None:
    model = compiled(Objective(Wasserstein()), network(), eps=0.1)
    logs = model.evaluate(*arrays(6), verbose=0, return_dict=True)
    assert set(logs) == {"loss", "accuracy", "point_loss", "point_accuracy"}


# --- weights

AT = starts.zero  # draws nothing: an example goes the same way wherever it stands
UNION = Union(radii=(0.1, 0.5, 1.0))
WEIGHTED = {
    "clean": Objective(Linf()),
    "attacked": Objective(Linf(), Attacked(PGD, AT)),
    "trades": Objective(Linf(), Trades(PGD, 2.0, AT)),
    "free": Objective(Linf(), Free()),
    "latent": Objective(Linf(), Latent(1, 2, random_start=False)),
    "each": Objective(UNION, EachPart(PGD, AT)),
    "bounded": BOUNDED,
    "sampled": Objective(Linf(), bound=WorstCase(interval_bounds, samples=6)),
    "fused": Objective(Linf(), bound=WorstCase(fused_bounds)),
    "stability": Objective(Linf(), regularisers=[ReluStability(1.0)]),
    "warm-up": Objective(Linf(), regularisers=[WarmUp(1.0, target=0.2)]),
}


QUICK = ["attacked", "bounded", "stability", "warm-up"]


@pytest.mark.parametrize("name", mostly_slow(list(WEIGHTED), QUICK))
def test_an_example_of_weight_two_stands_for_two(name: str) -> None:
    """And one of weight 0 is not there; the mean is over the examples that are given."""
    (x, y), objective = arrays(6), WEIGHTED[name]
    weights = np.array([1.0, 2.0, 0.0, 1.0, 2.0, 0.0])
    twice = np.array([0, 1, 1, 3, 4, 4])
    weighted = after(objective, (x, y), batch_size=6, sample_weight=weights)
    assert_equal(weighted, after(objective, (x[twice], y[twice]), batch_size=6), 1e-3)
    plain = after(objective, (x, y), batch_size=6)
    assert max(np.abs(a - b).max() for a, b in zip(weighted, plain, strict=True)) > 1e-4


def test_class_weights_are_the_weights_of_their_examples() -> None:
    x, y = arrays(12)
    by_class = {0: 0.0, 1: 1000.0, 2: 3.0}
    weights = np.array([by_class[label] for label in y.tolist()])
    ours = after(BOUNDED, (x, y), class_weight=by_class)
    assert_equal(ours, after(BOUNDED, (x, y), sample_weight=weights))
    assert max(np.abs(weight).max() for weight in ours) > 10.0


def test_examples_of_weight_0_move_nothing() -> None:
    ours = after(BOUNDED, arrays(12), sample_weight=np.zeros(12))
    assert_equal(ours, network().get_weights())


def test_weights_weigh_the_reported_loss_and_weighted_metrics_alone() -> None:
    net, (x, y) = network(), arrays(12)
    weights = np.arange(12.0)
    model = RobustModel(net)
    model.compile("sgd", Objective(Linf()), eps=0.0, weighted_metrics=["accuracy"])
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=5, verbose=0, return_dict=True)
    logits = net(x).numpy()
    losses = [cross_entropy(logits[i : i + 1], y[i : i + 1]) for i in range(12)]
    right = logits.argmax(1) == y
    assert logs["loss"] == pytest.approx(np.mean(weights * losses), rel=1e-5)
    assert logs["weighted_accuracy"] == pytest.approx(np.average(right, weights=weights))
    assert logs["accuracy"] == logs["point_accuracy"] == pytest.approx(right.mean())


def test_weights_with_mixup_are_refused() -> None:
    with pytest.raises(UserError, match="sample_weight, class_weight: expected none with mixup"):
        after(Objective(Linf(), mixup=1.0), arrays(6), class_weight={0: 1.0, 1: 1.0, 2: 2.0})


# --- regularisers of layers


def test_the_regularisers_of_layers_join_in() -> None:
    pixels = keras.Input((4, 4, 1))
    decay = keras.regularizers.L2(0.1)
    dense = keras.layers.Dense(CLASSES, kernel_regularizer=decay)
    net = keras.Model(pixels, dense(keras.layers.Flatten()(pixels)))
    model = compiled(Objective(Linf()), net)
    expected = 0.1 * float(tf.reduce_sum(tf.square(dense.kernel)))
    history = model.fit(*arrays(6), verbose=0).history
    assert history["penalty"] == pytest.approx([expected], rel=1e-5)
    assert history["loss"] == pytest.approx([history["point_loss"][0] + expected], rel=1e-5)


def test_losses_of_what_layers_answer_are_refused() -> None:
    pixels = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(pixels)
    net = keras.Model(pixels, keras.layers.Dense(3, activity_regularizer="l2", name="last")(x))
    with pytest.raises(UserError, match="layer 'last': expected no activity_regularizer"):
        RobustModel(net)


# --- kinds of data


class Pieces(keras.utils.PyDataset):
    """Examples in batches of 8."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 8

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[8 * i : 8 * i + 8], self.y[8 * i : 8 * i + 8]


def dataset(x: np.ndarray, y: np.ndarray) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def generator(x: np.ndarray, y: np.ndarray) -> Any:
    pieces = Pieces(x, y)
    return (pieces[i] for i in range(len(pieces)))


KINDS: dict[str, Callable[..., tuple[tuple, dict[str, Any]]]] = {
    "float64": lambda x, y: ((x.astype(float), y), {"batch_size": 8}),
    "tensors": lambda x, y: ((tf.constant(x), tf.constant(y)), {"batch_size": 8}),
    "labels in a column": lambda x, y: ((x, y[:, np.newaxis]), {"batch_size": 8}),
    "labels as floats": lambda x, y: ((x, y.astype("float32")), {"batch_size": 8}),
    "tf.data": lambda x, y: ((dataset(x, y),), {}),
    "PyDataset": lambda x, y: ((Pieces(x, y),), {}),
    "generator": lambda x, y: ((generator(x, y),), {}),
    "validation_split": lambda x, y: (
        (np.tile(x, (2, 1, 1, 1)), np.tile(y, 2)), {"batch_size": 8, "validation_split": 0.5}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_trains_to_the_same_weights(kind: str) -> None:
    x, y = arrays(24)
    data, options = KINDS[kind](x, y)
    expected = after(Objective(Linf()), (x, y), batch_size=8)
    assert_equal(after(Objective(Linf()), data, **options), expected, 1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_execution": 2},
        {"run_eagerly": True},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ],
)
def test_however_it_is_executed_it_trains_to_the_same_weights(options: dict[str, Any]) -> None:
    ours, theirs, (x, y) = network(), network(), arrays(20)
    model = RobustModel(ours)
    sgd = keras.optimizers.SGD(0.1)
    model.compile(sgd, BOUNDED, eps=0.05, kappa=0.5, **options)
    history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    plain = compiled(BOUNDED, theirs, eps=0.05, kappa=0.5)
    expected = plain.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    assert_equal(ours.get_weights(), theirs.get_weights(), 1e-4)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-4)


# --- what is refused, in one line

X, Y = arrays(8)
NAN = np.where(X > 0.9, np.nan, X)
REFUSED = [
    ((X * 255).astype("uint8"), Y, "x: expected floating-point numbers .*; received uint8"),
    (X.astype(bool), Y, "x: expected floating-point numbers .*; received bool"),
    (NAN, Y, "x: expected finite numbers; received NaN"),
    (X * 255, Y, "x: expected inputs in the domain [0, 1] .*; received from 0.[0-9]* to 25"),
    (X + np.inf, Y, "x: expected finite numbers; received NaN or infinity"),
    (X[:, :3], Y, r"x: expected inputs of shape (4, 4, 1); received"),
    (X, Y + 1, "y: expected class numbers from 0 to 2; received others"),
    (X, Y - 1, "y: expected class numbers from 0 to 2; received others"),
    (X, Y + 0.5, "y: expected class numbers from 0 to 2; received others"),
    (X, np.eye(3)[Y], r"y: expected class numbers, \[batch\]; received (3,) for each example"),
    (X, None, r"y: expected class numbers, \[batch\]; received none"),
]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(False, id="at once"),
        pytest.param(True, id="after a good epoch", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_a_batch_is_refused_in_one_line(before: bool) -> None:
    model = compiled(BOUNDED, network(), eps=0.05, kappa=0.5)
    if before:
        model.fit(X, Y, verbose=0)
        model.evaluate(X, Y, verbose=0)
    weights = model.network.get_weights()
    methods = (model.fit, model.train_on_batch, model.evaluate, model.test_on_batch)
    for x, y, message in REFUSED:
        pattern = re.sub(r"(?<!\\)([()]|\[0, 1\])", lambda m: re.escape(m.group(1)), message)
        for method in methods if before else methods[:1]:  # each is traced anew
            with pytest.raises(UserError, match=f"^{pattern}[^\n]*$"):
                method(x, y, **({"verbose": 0} if "batch" not in method.__name__ else {}))
    assert_equal(model.network.get_weights(), weights)


TEXTS = Y.astype(str)
UNREAD = [
    (X, TEXTS, r"y: expected class numbers, \[batch\]; received texts"),
    (X, Y.astype(object), r"y: expected class numbers, \[batch\]; received Python objects"),
    (X, Y.astype(complex), r"y: expected class numbers, \[batch\]; received complex numbers"),
    (X, Y.tolist(), r"y: expected class numbers, \[batch\]; received a list"),
    (X, np.full(8, np.nan), "y: expected class numbers from 0 to 2; received others"),
    (X, Y[:3], "y: expected one for each of the 8 examples of x; received 3"),
    (X[:3], Y, "y: expected one for each of the 3 examples of x; received 8"),
    (X, np.eye(3), "y: expected one for each of the 8 examples of x; received 3"),
    (X, 1, r"y: expected class numbers, \[batch\]; received 1"),
    (X.astype(str), Y, r"x: expected one array of numbers, \[batch, \.\.\.\], .*; received texts"),
    (X.tolist(), Y, "x: expected one array of numbers, .*; received a list"),
    ({"image": X}, Y, "x: expected one array of numbers, .*; received a dict"),
    (None, None, "x: expected one array of numbers, .*; received none"),
    ("x.npz", Y, "x: expected one array of numbers, .*; received 'x.npz'"),
    (X[:0], Y[:0], "x: expected at least one example; received none"),
    (tf.sparse.from_dense(X), Y, "x: expected one dense array; received a SparseTensor"),
]


@pytest.mark.parametrize(("x", "y", "message"), UNREAD)
def test_what_keras_could_not_read_is_refused_in_one_line(x: Any, y: Any, message: str) -> None:
    model = compiled(BOUNDED, network(), eps=0.05, kappa=0.5)
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(UserError, match=f"^{message}$"):
            method(x, y)
    assert_equal(model.network.get_weights(), network().get_weights())


def batches(*arrays: np.ndarray) -> tf.data.Dataset:
    """One batch of arrays whose lengths a step does not know beforehand."""
    spec = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays)
    return tf.data.Dataset.from_generator(lambda: iter([arrays]), output_signature=spec)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (batches(X, Y[:3]), "y: expected one for each example of x; received 3 for 8"),
        (
            batches(X, Y, np.ones(1, "float32")),
            "sample_weight: expected one for each example of x; received 1 for 8",
        ),
        (dataset(X, TEXTS), r"y: expected class numbers, \[batch\]; received string"),
        (dataset(X[:0], Y[:0]), "x: expected at least one batch; received none"),
        (Pieces(X[:7], Y[:7]), "x: expected at least one batch; received none"),
        (iter([(X, Y)]), "x: expected one array of numbers, .*; received a list_iterator"),
    ],
)
def test_batches_that_are_no_examples_are_refused_in_one_line(data: Any, message: str) -> None:
    model = compiled(BOUNDED, network(), eps=0.05, kappa=0.5)
    with pytest.raises(UserError, match=f"^{message}$"):
        model.fit(data)
    assert_equal(model.network.get_weights(), network().get_weights())


def test_one_weight_is_not_taken_for_all_examples() -> None:
    model = compiled(BOUNDED, network(), eps=0.05, kappa=0.5)
    for method in (model.fit, model.train_on_batch, model.test_on_batch):
        with pytest.raises(UserError, match="sample_weight: expected one for each of the 8"):
            method(X, Y, sample_weight=np.ones(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": {"0": 2.0}}, "class_weight: expected a dict from class numbers, 0 to 2"),
        ({"class_weight": {3: 2.0}}, "class_weight: expected a dict from class numbers, 0 to 2"),
        ({"class_weight": [1.0, 2.0]}, "class_weight: .*; received .1.0, 2.0.$"),
        ({"class_weight": {0: "2"}}, r"class_weight\[0\]: expected a number .*; received '2'"),
        ({"validation_data": (X, TEXTS)}, "y of validation_data: .*; received texts"),
        ({"validation_data": X}, "y of validation_data: .*; received none"),
        ({"validation_data": (X[:0], Y[:0])}, "x of validation_data: .*; received none"),
    ],
)
def test_other_arguments_of_fit_are_refused_before_the_first_step(
    options: dict[str, Any], message: str
) -> None:
    model = compiled(BOUNDED, network(), eps=0.05, kappa=0.5)
    with pytest.raises(UserError, match=f"^{message}[^\n]*"):
        model.fit(X, Y, verbose=0, **options)
    assert_equal(model.network.get_weights(), network().get_weights())


def test_weights_that_are_no_weights_are_refused() -> None:
    for weights in (np.full(8, np.nan), np.full(8, -1.0)):
        with pytest.raises(UserError, match="sample_weight: expected finite numbers of at least 0"):
            after(Objective(Linf()), (X, Y), sample_weight=weights)


FORGOTTEN = [({}, False), ({"eps": 0.1}, False), ({"kappa": 0.5}, False), ({"eps": 0.1}, True)]
COMPILED = [({}, True), ({"kappa": 0.5}, True)]  # by XLA, which takes long


@pytest.mark.parametrize(
    ("settings", "jit"),
    [*FORGOTTEN, *(pytest.param(*case, marks=pytest.mark.slow) for case in COMPILED)],
)
def test_a_forgotten_radius_is_refused(settings: dict[str, float], jit: bool) -> None:
    model = RobustModel(network())
    model.compile("sgd", BOUNDED, jit_compile=jit, **settings)
    missing = "kappa" if "eps" in settings else "eps"
    for method in (model.fit, model.evaluate):
        with pytest.raises(UserError, match=f"^{missing}: expected a number in compile"):
            method(X, Y, verbose=0)
    assert_equal(model.network.get_weights(), network().get_weights())


def test_training_before_compile_is_refused() -> None:
    for method in (RobustModel(network()).fit, RobustModel(network()).evaluate):
        with pytest.raises(UserError, match="^objective: expected one in compile"):
            method(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -0.1}, "eps: expected a radius of at least 0; received -0.1"),
        ({"eps": np.nan}, "eps: expected a radius of at least 0; received nan"),
        ({"kappa": 1.5}, "kappa: expected a share from 0 to 1; received 1.5"),
        ({"loss": "mse"}, "loss: expected none: the objective is the loss"),
        ({"clip_norm": -1.0}, "clip_norm: expected a number of at least 0; received -1.0"),
        ({"clip_norm": "1"}, "clip_norm: expected a number of at least 0; received '1'"),
    ],
)
def test_compile_refuses_what_it_could_not_keep_to(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RobustModel(network()).compile("sgd", BOUNDED, **options)


def test_what_is_no_objective_is_refused() -> None:
    for other in (None, Linf(), "ibp"):
        with pytest.raises(UserError, match="^objective: expected an Objective; received a "):
            RobustModel(network()).compile("sgd", other, eps=0.1)


def verified(y: Any, logits: Any) -> Any:
    """A metric of a user's, called as one of the model's."""
    return tf.zeros(tf.shape(y)[0])


def named(name: str) -> keras.metrics.Metric:
    return keras.metrics.SparseCategoricalAccuracy(name=name)


@pytest.mark.parametrize(
    "metrics",
    [
        [verified],
        {"logits": named("verified")},
        *(["accuracy", named(name)] for name in (*Terms._fields, "verified", "eps", "kappa")),
    ],
)
def test_metrics_under_a_name_that_is_taken_are_refused(metrics: Any) -> None:
    """One of the two would not be reported."""
    for argument in ("metrics", "weighted_metrics"):
        message = f"^{argument}: expected names other than .*; received '[a-z_]+'$"
        with pytest.raises(UserError, match=message):
            RobustModel(network()).compile("sgd", BOUNDED, **{argument: metrics})


def test_metrics_under_names_of_their_own_are_all_reported() -> None:
    model = RobustModel(network())
    metrics = {"metrics": [named("mine"), "accuracy"], "weighted_metrics": [named("mine")]}
    model.compile("sgd", BOUNDED, eps=0.05, kappa=0.5, **metrics)
    logs = model.evaluate(X, Y, sample_weight=np.arange(8.0), verbose=0, return_dict=True)
    right = model.network(X).numpy().argmax(1) == Y
    assert logs["mine"] == logs["accuracy"] == pytest.approx(right.mean())
    assert logs["weighted_mine"] == pytest.approx(np.average(right, weights=np.arange(8.0)))
    assert logs["bound_verified"] == logs["verified"]


# --- replicas

REPLICAS = """
import functools

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.bounds.methods import interval_bounds
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.training.callbacks import Schedule
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked
from rt_tf.training.objectives.worst_case import WorstCase
from tests.training.small import batch, network

x, y = (values.numpy() for values in batch(21))
weights = np.linspace(0.0, 2.0, 21)


def fitted(strategy, size):
    with strategy.scope():
        net = network()
        model = RobustModel(net)
        objective = Objective(Linf(), Attacked(functools.partial(pgd, steps=2)), BOUND)
        model.compile(keras.optimizers.SGD(0.1), objective, eps=0.05, kappa=0.5)
    common = {"batch_size": size, "verbose": 0}
    options = {**common, "shuffle": False, "epochs": 2, "callbacks": [Schedule(eps=0.05)]}
    history = model.fit(x, y, sample_weight=weights, **options).history
    assert history.pop("eps") == [np.float32(0.05)] * 2
    assert len(model.weights) == len(net.weights)
    assert model.get_compile_config()["eps"] == np.float32(0.05)
    model.eps.assign(0.1)
    assert float(model.eps) == np.float32(0.1)
    tested = model.evaluate(x, y, return_dict=True, **common)
    return {**{k: v[-1] for k, v in history.items()}, **tested}, net.get_weights()


BOUND = WorstCase(interval_bounds)
strategies = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy()
for size in (8, 18):  # the last batch is 3 and 2 of 5, and 2 and 1 of 3
    one, two = [fitted(strategy, size) for strategy in strategies]
    assert one[0].keys() == two[0].keys() and len(one[0]) == 7
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-4, err_msg=name)
    for mine, other in zip(one[1], two[1]):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
try:
    fitted(strategies[1], 10)  # 1 and 0 of 1
except UserError as error:
    print(error)
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_report_and_train_as_one_with_uneven_batches() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "x: expected an example for every replica in every batch; received fewer" in done.stdout
    assert "equal" in done.stdout
