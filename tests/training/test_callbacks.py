"""`RobustModel` in files and under Keras's callbacks, each by a value; and our own callback."""

import csv
import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.bounds.methods import crown_ibp_bounds, interval_bounds
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.union import Union
from rt_tf.training.callbacks import Ramp, Schedule
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives import recipe
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, EachPart, Free, Latent, Trades
from rt_tf.training.objectives.regularisers import L1, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase
from tests.training.small import batch, compiled, network

PGD = functools.partial(pgd, steps=2)
SABR = Objective(
    Linf(), Attacked(PGD, start=None), WorstCase(interval_bounds, ratio=0.5), [L1(0.01)]
)
X, Y = (values.numpy() for values in batch(16))
RAMP = Ramp(0.0, 0.2, 10)
EIGHTS: dict[str, Any] = {"batch_size": 8, "verbose": 0, "shuffle": False}


def model_of(objective: Objective = SABR) -> RobustModel:
    kappa = 0.5 if objective.bound else 0.0
    return compiled(objective, network(batch_norm=True), eps=0.05, kappa=kappa)


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7)


# --- files


def test_a_model_that_is_loaded_goes_on_as_the_one_that_was_saved(tmp_path: Path) -> None:
    """Weights, optimizer, eps, kappa, the moves of the last attack, and how it was compiled."""
    model = model_of()
    model.fit(X, Y, **EIGHTS)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert (float(loaded.eps), float(loaded.kappa)) == pytest.approx((0.05, 0.5))
    np.testing.assert_array_equal(loaded.moves, model.moves)
    assert float(tf.reduce_max(tf.abs(model.moves))) > 0.01
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))
    histories = [each.fit(X, Y, **EIGHTS).history for each in (model, loaded)]
    assert histories[0] == {k: pytest.approx(v, rel=1e-5) for k, v in histories[1].items()}
    assert_same(loaded.get_weights(), model.get_weights())


def test_a_clone_computes_the_same_of_the_same_weights() -> None:
    domain = Domain(np.zeros((4, 4, 1)), np.full((4, 4, 1), 1.5))
    model = RobustModel(network(), seed=3, domain=domain)
    model.compile("adam", SABR, eps=0.1, kappa=0.2, clip_norm=0.5)
    clone = keras.models.clone_model(model)
    assert (clone.seed, clone.clip_norm, clone.objective.bound.ratio) == (3, 0.5, 0.5)
    np.testing.assert_array_equal(clone.wiring.domain.upper, domain.upper)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    assert clone.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))


@pytest.mark.parametrize(
    "objective",
    [
        Objective(Linf()),
        Objective(Linf(), Trades(PGD, 3.0), mixup=0.2),
        Objective(Union((0.1, 0.5, 1.0)), EachPart(PGD)),
        Objective(Linf(), Free(), WorstCase(crown_ibp_bounds, samples=3), [WarmUp(0.5, 0.1)]),
        Objective(Linf(np.ones((4, 4, 1))), Latent(1, 5, random_start=False)),
        SABR,
    ],
    ids=["natural", "trades", "each", "free", "latent", "sabr"],
)
def test_an_objective_is_made_again_of_its_recipe(objective: Objective) -> None:
    again = recipe.build(recipe.recipe(objective))
    assert recipe.recipe(again) == recipe.recipe(objective)
    assert type(again.point) is type(objective.point)
    assert again.bound == objective.bound
    assert again.mixup == objective.mixup
    np.testing.assert_array_equal(*(getattr(o.threat, "scale", 0) for o in (again, objective)))


def mine(task: Any, start: Any) -> Any:
    """An attack of a user's."""
    return start


def test_a_users_own_part_is_loaded_from_custom_objects(tmp_path: Path) -> None:
    model_of(Objective(Linf(), Attacked(mine))).save(tmp_path / "x.keras")
    with pytest.raises(UserError, match="among custom_objects; received '[^']*mine'"):
        keras.models.load_model(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras", custom_objects={"mine": mine})
    assert loaded.objective.point.attack is mine


def test_what_has_no_name_is_saved_without_and_said(tmp_path: Path) -> None:
    model = model_of(Objective(Linf(), Attacked(lambda task, start: start)))
    with pytest.warns(UserWarning, match="saved without its training: objective: expected parts"):
        model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert loaded.objective is None
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "rt_tf.files.write"),
        "rt_tf.training.objectives.recipe.keras",
        "rt_tf.training.point.Clean",  # as files of 0.1.0 have it
    ],
)
def test_a_recipe_names_nothing_but_parts(name: str) -> None:
    with pytest.raises(UserError, match="expected parts of this version of the library"):
        recipe.build({"name": name})


# --- Keras's callbacks


def checkpoint(folder: Path, model: RobustModel) -> None:
    """The epoch of the best validation loss is on disk."""
    path = folder / "x.keras"
    keep = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
    history = fitted(model, keep, epochs=3).history
    loaded = keras.models.load_model(path)
    logs = loaded.evaluate(X, Y, batch_size=8, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-5)


def weights_only(folder: Path, model: RobustModel) -> None:
    path = folder / "x.weights.h5"
    fitted(model, keras.callbacks.ModelCheckpoint(path, save_weights_only=True))
    other = model_of()
    other.load_weights(path)
    assert_same(other.get_weights(), model.get_weights())


def early_stopping(folder: Path, model: RobustModel) -> None:
    """Judged by all the examples; the best weights come back."""
    model.optimizer.learning_rate.assign(1e3)  # worse from the first epoch on
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    losses = fitted(model, stop, epochs=9).history["val_loss"]
    assert len(losses) == 2 + 1 + int(np.argmin(losses)) < 9
    logs = model.evaluate(X, Y, batch_size=8, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(min(losses), rel=1e-5)


def tensorboard(folder: Path, model: RobustModel) -> None:
    """The logs hold the history, training and validation apart."""
    history = fitted(model, keras.callbacks.TensorBoard(folder, histogram_freq=1)).history
    for part, name in (("train", "loss"), ("validation", "val_loss")):
        (path,) = (folder / part).glob("events*")
        events = tf.compat.v1.train.summary_iterator(str(path))
        values = [v for event in events for v in event.summary.value if v.tag == "epoch_loss"]
        read = [float(tf.make_ndarray(value.tensor)) for value in values]
        assert read == pytest.approx(history[name], rel=1e-5)


def backup(folder: Path, model: RobustModel) -> None:
    """A training that is broken off goes on as an undisturbed one, at its schedule's radius."""

    class Breaks(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    schedule, keep = Schedule(eps=RAMP), keras.callbacks.BackupAndRestore
    with pytest.raises(KeyboardInterrupt):
        fitted(model, schedule, keep(folder), Breaks(), epochs=3)
    again, whole = model_of(), model_of()
    history = fitted(again, schedule, keep(folder), epochs=3).history
    expected = fitted(whole, schedule, epochs=3).history
    assert history["eps"] == pytest.approx([0.05])
    assert history["loss"] == pytest.approx(expected["loss"][2:], rel=1e-5)
    assert_same(again.get_weights(), whole.get_weights())


def csv_logger(folder: Path, model: RobustModel) -> None:
    history = fitted(model, keras.callbacks.CSVLogger(folder / "log.csv")).history
    rows = list(csv.DictReader(io.StringIO((folder / "log.csv").read_text())))
    assert {"loss", "accuracy", "point_loss", "bound_loss", "val_verified"} <= set(rows[0])
    for name in history:
        assert [float(row[name]) for row in rows] == pytest.approx(history[name], rel=1e-5)


def rates(folder: Path, model: RobustModel) -> None:
    """At a rate of 0 nothing moves any more."""
    weights = []
    kernel = model.network.trainable_variables[0]
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(kernel.numpy())
    )
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch == 0 else 0.0)
    history = fitted(model, schedule, keep, epochs=2).history
    assert history["learning_rate"] == pytest.approx([0.1, 0.0])
    np.testing.assert_array_equal(*weights)


def not_a_number(folder: Path, model: RobustModel) -> None:
    """A loss that is lost ends training at the step after."""
    model.optimizer.learning_rate.assign(1e38)
    history = fitted(model, keras.callbacks.TerminateOnNaN(), epochs=5).history
    assert len(history["loss"]) < 5


CALLBACKS: dict[str, Callable[[Path, RobustModel], None]] = {
    "ModelCheckpoint": checkpoint,
    "ModelCheckpoint of weights": weights_only,
    "EarlyStopping": early_stopping,
    "TensorBoard": tensorboard,
    "BackupAndRestore": backup,
    "CSVLogger": csv_logger,
    "LearningRateScheduler": rates,
    "TerminateOnNaN": not_a_number,
}


def fitted(model: RobustModel, *callbacks: Any, epochs: int = 2) -> keras.callbacks.History:
    options = {**EIGHTS, "epochs": epochs, "validation_data": (X, Y)}
    return model.fit(X, Y, callbacks=list(callbacks), **options)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "BackupAndRestore"))
        for name in CALLBACKS
    ],
)
def test_callbacks_of_keras_do_what_they_do(tmp_path: Path, name: str) -> None:
    CALLBACKS[name](tmp_path, model_of())


# --- ours


class Notes(keras.callbacks.Callback):
    """Keeps eps and kappa of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append((float(self.model.eps), float(self.model.kappa)))


def test_a_schedule_moves_eps_and_kappa_step_by_step() -> None:
    model = RobustModel(network())
    model.compile("sgd", Objective(Linf(), Clean(), WorstCase(interval_bounds)))
    notes = Notes()
    schedule = Schedule(eps=Ramp(0.0, 0.1, epochs=2, after=1), kappa=lambda epoch: 0.1 * epoch)
    options: dict[str, Any] = {**EIGHTS, "epochs": 4, "callbacks": [schedule, notes]}
    history = model.fit(X, Y, **options).history
    epsilons = [0.0, 0.0, 0.0, 0.025, 0.05, 0.075, 0.1, 0.1]
    assert [eps for eps, _ in notes.seen] == pytest.approx(epsilons)
    assert [kappa for _, kappa in notes.seen] == pytest.approx([0.05 * i for i in range(8)])
    assert history["eps"] == pytest.approx(epsilons[1::2])
    options |= {"initial_epoch": 2, "epochs": 3}
    notes.seen.clear()
    model.fit(X, Y, **options)
    assert [eps for eps, _ in notes.seen] == pytest.approx([0.05, 0.075])


def test_a_schedule_may_hold_numbers() -> None:
    model = RobustModel(network())
    model.compile("sgd", Objective(Linf()))
    model.fit(X, Y, callbacks=[Schedule(0.2)], verbose=0)
    assert float(model.eps) == pytest.approx(0.2)


def test_schedules_refuse_what_they_could_not_keep_to() -> None:
    with pytest.raises(UserError, match="form: expected one of linear, smooth; received 'cubic'"):
        Ramp(0.0, 0.1, 2, form="cubic")
    with pytest.raises(UserError, match="epochs: expected a number of at least 0; received -1"):
        Ramp(0.0, 0.1, -1)
    model = RobustModel(network())
    model.compile("sgd", Objective(Linf()))
    uncounted = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).filter(lambda x, y: True)
    with pytest.raises(UserError, match="Schedule: expected a known number of batches"):
        model.fit(uncounted, callbacks=[Schedule(Ramp(0.0, 0.1, 2))], verbose=0)


# --- eps and kappa are no weights


class Weights(keras.callbacks.Callback):
    """Keeps the network's weights at each epoch's end."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.kept.append(self.model.network.get_weights())


def test_restoring_the_best_weights_leaves_the_radius_of_the_schedule() -> None:
    """The lowest eps is that of the first epoch, whose weights come back."""
    model = RobustModel(network(batch_norm=True))
    model.compile(keras.optimizers.SGD(0.1), SABR, kappa=0.5)
    stop = keras.callbacks.EarlyStopping("eps", mode="min", patience=2, restore_best_weights=True)
    notes = Weights()
    history = fitted(
        model, Schedule(eps=RAMP, kappa=lambda e: e / 8), notes, stop, epochs=9
    ).history
    assert history["eps"] == pytest.approx([0.01, 0.03, 0.05])
    assert (float(model.eps), float(model.kappa)) == pytest.approx((0.05, 2.5 / 8))
    np.testing.assert_equal(model.network.get_weights(), notes.kept[0])
    assert np.abs(notes.kept[0][0] - notes.kept[2][0]).max() > 1e-4


def set_weights(folder: Path, model: RobustModel) -> Callable[[], Any]:
    weights = model.get_weights()
    return lambda: model.set_weights(weights)


def load_weights(folder: Path, model: RobustModel) -> Callable[[], Any]:
    model.save_weights(folder / "x.weights.h5")
    return lambda: model.load_weights(folder / "x.weights.h5")


def checkpointed(folder: Path, model: RobustModel) -> Callable[[], Any]:
    path = tf.train.Checkpoint(model=model).write(str(folder / "x"))
    return lambda: tf.train.Checkpoint(model=model).read(path)


@pytest.mark.parametrize("keep", [set_weights, load_weights, checkpointed])
def test_whatever_restores_weights_leaves_eps_and_kappa(
    tmp_path: Path, keep: Callable[[Path, RobustModel], Callable[[], Any]]
) -> None:
    model = model_of()
    before = model.network.get_weights()
    restore = keep(tmp_path, model)
    model.fit(X, Y, callbacks=[Schedule(eps=0.3, kappa=0.9)], **EIGHTS)
    assert np.abs(before[0] - model.network.get_weights()[0]).max() > 1e-4
    restore()
    np.testing.assert_equal(model.network.get_weights(), before)
    assert (float(model.eps), float(model.kappa)) == pytest.approx((0.3, 0.9))
    assert [w.path for w in model.weights] == [w.path for w in model.network.weights]


def test_the_file_of_an_epoch_has_the_radius_of_its_schedule(tmp_path: Path) -> None:
    """As it is computed with, to the last bit."""
    model = RobustModel(network())
    model.compile("sgd", SABR)
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    schedule = Schedule(eps=lambda epoch: (1 + epoch) / 255, kappa=lambda epoch: epoch / 3)
    history = fitted(model, schedule, keep).history
    for epoch in (0, 1):
        loaded = keras.models.load_model(tmp_path / f"{epoch + 1}.keras")
        assert float(loaded.eps) == history["eps"][epoch]
        assert float(loaded.kappa) == history["kappa"][epoch]
    assert history["eps"] == pytest.approx([1.5 / 255, 2.5 / 255])
    logs = loaded.evaluate(X, Y, batch_size=8, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(history["val_loss"][1], rel=1e-5)


def test_a_model_is_saved_as_unset_as_it_is(tmp_path: Path) -> None:
    """And one whose objective has lost its bound is saved without kappa, which nothing reads."""
    model = RobustModel(network())
    model.compile("sgd", SABR, kappa=0.5)
    model.compile("sgd", Objective(Linf()))
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    with pytest.raises(UserError, match="^eps: expected a number in compile"):
        loaded.fit(X, Y)
    loaded.compile("sgd", Objective(Linf()), eps=0.1)
    loaded.fit(X, Y, **EIGHTS)


@pytest.mark.slow
def test_files_that_hold_eps_and_kappa_as_weights_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they were written before; weights alone leave what is set."""

    def write(self: RobustModel, store: Any) -> None:
        for name in ("eps", "kappa", "moves"):
            store[name] = tf.convert_to_tensor(getattr(self, name)).numpy()

    written = RobustModel.get_compile_config
    with monkeypatch.context() as patch:
        patch.setattr(RobustModel, "save_own_variables", write)
        patch.setattr(
            RobustModel,
            "get_compile_config",
            lambda self: {k: v for k, v in written(self).items() if k not in ("eps", "kappa")},
        )
        model = model_of()
        model.save(tmp_path / "x.keras")
        model.save_weights(tmp_path / "x.weights.h5")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert (float(loaded.eps), float(loaded.kappa)) == pytest.approx((0.05, 0.5))
    loaded.eps.assign(0.3)
    loaded.load_weights(tmp_path / "x.weights.h5")
    assert float(loaded.eps) == pytest.approx(0.3)


# --- one check of eps and kappa, whichever way they come


def by_compile(model: RobustModel, values: dict[str, Any]) -> None:
    model.compile(model.optimizer, model.objective, **values)


def by_number(model: RobustModel, values: dict[str, Any]) -> None:
    model.fit(X, Y, callbacks=[Schedule(**{"eps": 0.05, **values})], **EIGHTS)


def by_function(model: RobustModel, values: dict[str, Any]) -> None:
    courses = {name: lambda epoch, value=value: value for name, value in values.items()}
    model.fit(X, Y, callbacks=[Schedule(**{"eps": 0.05, **courses})], **EIGHTS)


def by_assignment(model: RobustModel, values: dict[str, Any]) -> None:
    for name, value in values.items():
        getattr(model, name).assign(value)


def within_a_graph(model: RobustModel, values: dict[str, Any]) -> None:
    """Known to be none once a step reads it."""
    for name, value in values.items():
        variable = getattr(model, name)
        tf.function(variable.assign)(tf.constant(value))
    model.fit(X, Y, **EIGHTS)


WAYS = [by_compile, by_number, by_function, by_assignment]
RANGES = [
    ("eps", -0.1, "eps: expected a radius of at least 0; received -0.1"),
    ("eps", 1e39, r"eps: expected a radius of at least 0; received 1e\+39"),
    ("eps", np.inf, "eps: expected a radius of at least 0; received inf"),
    ("kappa", 5.5, "kappa: expected a share from 0 to 1; received 5.5"),
    ("kappa", -0.5, "kappa: expected a share from 0 to 1; received -0.5"),
]
NO_NUMBERS = [
    ("eps", np.nan, "eps: expected a radius of at least 0; received nan"),
    ("eps", "0.1", "eps: expected a radius of at least 0; received '0.1'"),
    ("eps", [0.1, 0.2], r"eps: expected a radius of at least 0; received \[0.1, 0.2\]"),
    ("eps", np.array([0.1]), r"eps: expected a radius of at least 0; received array\(\[0.1\]\)"),
    ("eps", True, "eps: expected a radius of at least 0; received True"),
    ("eps", 0.1j, "eps: expected a radius of at least 0; received 0.1j"),
    ("eps", {}, "eps: expected a radius of at least 0; received {}"),
    ("kappa", "1", "kappa: expected a share from 0 to 1; received '1'"),
]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_radius_and_no_share_is_refused_whichever_way_it_comes(
    way: Callable[[RobustModel, dict[str, Any]], None],
) -> None:
    model = model_of()
    weights = model.network.get_weights()
    for name, value, message in [*RANGES, *NO_NUMBERS]:
        with pytest.raises(UserError, match=f"^{message}$"):
            way(model, {name: value})
        assert (float(model.eps), float(model.kappa)) == pytest.approx((0.05, 0.5))
    np.testing.assert_equal(model.network.get_weights(), weights)


@pytest.mark.parametrize(("name", "value", "message"), [RANGES[0], RANGES[2], RANGES[3]])
def test_what_a_graph_assigns_is_refused_by_the_next_step(
    name: str, value: float, message: str
) -> None:
    model = model_of()
    weights = model.network.get_weights()
    with pytest.raises(UserError, match=f"^{message}"):
        within_a_graph(model, {name: value})
    np.testing.assert_equal(model.network.get_weights(), weights)


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_number_is_one(way: Callable[[RobustModel, dict[str, Any]], None]) -> None:
    model = model_of()
    for value in (0.1, 8 / 255, np.float32(0.2), np.array(0.3), tf.constant(0.4), 1, 0):
        way(model, {"eps": value, "kappa": value})
        assert (float(model.eps), float(model.kappa)) == pytest.approx((float(value),) * 2)


def test_a_value_that_a_function_gives_later_is_refused_before_its_step() -> None:
    model = model_of()
    notes = Notes()
    schedule = Schedule(eps=lambda epoch: 0.1 - 0.1 * epoch)
    with pytest.raises(UserError, match="^eps: expected a radius of at least 0; received -0.05"):
        model.fit(X, Y, callbacks=[schedule, notes], **{**EIGHTS, "epochs": 3})
    assert [eps for eps, _ in notes.seen] == pytest.approx([0.1, 0.05, 0.0])
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()


def test_schedules_refuse_values_and_models_that_they_could_not_set() -> None:
    with pytest.raises(UserError, match="^eps: expected a radius of at least 0; received -0.1$"):
        Schedule(eps=Ramp(0.1, -0.1, 1))
    with pytest.raises(UserError, match="^end: expected a finite number; received '0.1'$"):
        Ramp(0.0, "0.1", 1)
    with pytest.raises(UserError, match="^epochs: expected a number of at least 0; received None$"):
        Ramp(0.0, 0.1, None)
    with pytest.raises(UserError, match="^eps: expected a radius of at least 0; received None$"):
        Schedule(eps=None)
    with pytest.raises(UserError, match="^kappa: expected 0 for an objective without a bound"):
        model_of(Objective(Linf())).fit(X, Y, callbacks=[Schedule(eps=0.1, kappa=0.5)], **EIGHTS)
    plain = network()
    plain.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(UserError, match="^Schedule: expected a RobustModel; received a Functional"):
        plain.fit(X, Y, callbacks=[Schedule(eps=0.1)], **EIGHTS)
