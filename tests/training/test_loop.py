"""The loop in one process: phases, their ends, selection, resume."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import data, models
from rt_tf.attacks.gradient.pgd import fgsm, pgd
from rt_tf.bounds.methods import interval_bounds
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.training.loop.average import Average
from rt_tf.training.loop.guard import Guard
from rt_tf.training.loop.loop import Loop
from rt_tf.training.loop.state import LoopSettings, TrainingState
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Monitor
from rt_tf.training.objectives.batch import refuse_uneven
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, Free
from rt_tf.training.objectives.worst_case import WorstCase
from rt_tf.training.phases import Phase, Values

NATURAL = Phase(epochs=2, learning_rate=0.01)
ROBUST = Phase(epochs=2, bound="interval", kappa=0.5, eps=0.02, attack="fgsm")
MEMBER = Phase(epochs=2, bound="interval", kappa=0.5, eps=0.01, learning_rate=0.01)


class Notebook:
    """A watcher that keeps all events."""

    def __init__(self, stop_after: int = -1) -> None:
        self.values: list[Values] = []
        self.rows: list[dict[str, Any]] = []
        self.resumed_at: int | None = None
        self.stop_after = stop_after

    def on_resume(self, position: TrainingState, notices: Sequence[str]) -> None:
        self.resumed_at = position.total_steps

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None:
        self.values.append(values)
        if position.total_steps == self.stop_after:
            raise KeyboardInterrupt

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None:
        self.rows.append(row)


@pytest.fixture(scope="module")
def digits(digits_dir: Path) -> data.DataSet:
    return data.load("digits", digits_dir)


def objective(phase: Phase) -> Objective:
    bound = WorstCase(interval_bounds) if phase.bound == "interval" else None
    if phase.attack == "free":
        return Objective(Linf(), Free())
    return Objective(Linf(), Attacked(fgsm) if phase.attack == "fgsm" else Clean(), bound)


def make(
    digits: data.DataSet, folder: Path, *phases: Phase, ema: float = 0.0, **settings: Any
) -> Loop:
    keras.utils.set_random_seed(0)
    network = lambda: models.build("digits_fc", (8, 8, 1), 10, batch_norm=ema > 0)  # noqa: E731
    model = RobustModel(network())
    average = Average(network(), ema) if ema else None
    watched = trace(average.network) if average else model.wiring
    return Loop(
        model=model,
        phases=phases,
        objectives=[objective(phase) for phase in phases],
        optimizer=lambda: keras.optimizers.Adam(1e-3),
        train=digits.train.take(400),
        validation=digits.validation,
        monitor=Monitor(watched, Linf(), 0.02, interval_bounds, functools.partial(pgd, steps=1)),
        network=network,
        directory=folder,
        settings=LoopSettings(batch_size=100, checkpoint_seconds=0.0, **settings),
        watcher=Notebook(),
        average=average,
        guard=guard(model, folder),
    )


def guard(model: RobustModel, folder: Path) -> Guard:
    attack = functools.partial(pgd, steps=5)
    return Guard(Monitor(model.wiring, Linf(), 0.02, None, attack), 0.5, folder)


def test_phases_follow_each_other_with_their_own_values(
    digits: data.DataSet, tmp_path: Path
) -> None:
    second = dataclasses.replace(ROBUST, eps_ramp_epochs=2.0, learning_rate=0.002)
    loop = make(digits, tmp_path, NATURAL, second)
    position = loop.run()
    assert (position.phase, position.total_steps) == (2, 16)
    assert [v.eps for v in loop.watcher.values[:8]] == [0.0] * 8
    ramp = [0.0025 * step for step in range(8)]
    assert [v.eps for v in loop.watcher.values[8:]] == pytest.approx(ramp)
    rates = [v.learning_rate for v in loop.watcher.values]
    assert rates == [0.01] * 8 + [0.002] * 8
    assert [(row["phase"], row["epoch"]) for row in loop.watcher.rows] == [
        (0, 1), (0, 2), (1, 1), (1, 2)
    ]  # fmt: skip
    assert loop.watcher.rows[-1]["bound_loss"] > 0.0


def test_a_stable_phase_ends_early(digits: data.DataSet, tmp_path: Path) -> None:
    """As soon as a line has a noise: after five epochs."""
    phase = Phase(epochs=50, until="stable", learning_rate=1e-3)
    loop = make(digits, tmp_path, phase, NATURAL, stable_tolerance=1e9)
    assert loop.run().total_steps == 5 * 4 + 2 * 4
    steering = [row["steering"] for row in loop.watcher.rows[:5]]
    assert ["loss_fall" in quantities for quantities in steering] == [False] * 4 + [True]
    losses = [row["loss"] for row in loop.watcher.rows[:5]]
    assert steering[4]["loss_fall"] == pytest.approx((losses[2] - losses[4]) / 2)
    bend = abs(losses[2] - 2 * losses[3] + losses[4])
    assert steering[4]["loss_noise"] == pytest.approx(bend / 6**0.5)


def test_a_phase_whose_loss_falls_is_not_stable(digits: data.DataSet, tmp_path: Path) -> None:
    phase = Phase(epochs=8, until="stable", learning_rate=1e-3)
    position = make(digits, tmp_path, phase, stable_tolerance=0.5).run()
    assert position.total_steps == 8 * 4


def test_a_stable_phase_does_not_end_within_its_ramp(digits: data.DataSet, tmp_path: Path) -> None:
    phase = dataclasses.replace(ROBUST, epochs=10, until="stable", eps_ramp_epochs=3.5)
    position = make(digits, tmp_path, phase, stable_tolerance=1e9).run()
    assert position.total_steps == (4 + 5) * 4


# Within an epoch, at its end, at a phase's end.
@pytest.mark.parametrize("stop", [3, *(pytest.param(k, marks=pytest.mark.slow) for k in (4, 8))])
def test_a_loop_that_is_to_stop_does_so_after_a_whole_step(
    digits: data.DataSet, tmp_path: Path, stop: int
) -> None:
    whole = make(digits, tmp_path / "whole", NATURAL, ROBUST)
    loop = make(digits, tmp_path / "parts", NATURAL, ROBUST)
    loop.settings = dataclasses.replace(loop.settings, checkpoint_seconds=1e9)
    loop.stopping = lambda: loop.position.total_steps >= stop
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    again = make(digits, tmp_path / "parts", NATURAL, ROBUST)
    again.run()
    whole.run()
    assert again.watcher.resumed_at == loop.position.total_steps <= stop + 1
    assert again.position.cpu_seconds > loop.position.cpu_seconds > 0.0
    times = ("seconds",)
    for ours, theirs in zip(again.position.history, whole.position.history, strict=True):
        assert {**ours, **dict.fromkeys(times)} == {**theirs, **dict.fromkeys(times)}
    weights = whole.model.network.get_weights()
    for mine, theirs in zip(again.model.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def untimed(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a history without their times."""
    clocks = {name for row in history for name in row if "seconds" in name}
    return [{name: row[name] for name in row if name not in clocks} for row in history]


def test_resumed_training_ends_in_the_same_weights_and_history(
    digits: data.DataSet, tmp_path: Path
) -> None:
    whole = make(digits, tmp_path / "whole", NATURAL, ROBUST)
    whole.run()
    for stop in (3, 8, 13):  # within an epoch, between phases, in the second phase
        loop = make(digits, tmp_path / "parts", NATURAL, ROBUST)
        loop.watcher.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    loop = make(digits, tmp_path / "parts", NATURAL, ROBUST)
    loop.run()
    assert loop.watcher.resumed_at in (11, 12)
    ours = loop.model.network.get_weights()
    for mine, theirs in zip(ours, whole.model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert untimed(loop.position.history) == untimed(whole.position.history)
    again = make(digits, tmp_path / "parts", NATURAL, ROBUST)
    assert again.run().total_steps == 16
    assert again.watcher.values == []  # a finished run takes no step


@pytest.mark.slow
def test_the_average_of_the_weights_is_monitored_kept_and_resumed(
    digits: data.DataSet, tmp_path: Path
) -> None:
    phases = dataclasses.replace(NATURAL, learning_rate=0.05), ROBUST
    whole = make(digits, tmp_path / "whole", *phases, ema=0.9)
    position = whole.run()
    loop = make(digits, tmp_path / "parts", *phases, ema=0.9)
    loop.watcher.stop_after = 6
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    again = make(digits, tmp_path / "parts", *phases, ema=0.9)
    again.run()
    assert again.watcher.resumed_at == 5
    weights, averaged = whole.model.network.get_weights(), whole.average.network.get_weights()
    kept = keras.models.load_model(tmp_path / "whole" / "best" / "network.keras")
    resumed = again.average.network.get_weights()
    for mine, theirs, best in zip(resumed, averaged, kept.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(best, theirs)
    assert max(np.abs(a - b).max() for a, b in zip(weights, averaged, strict=True)) > 1e-4
    right = kept.predict(digits.validation.images(), verbose=0).argmax(-1)
    rate = (right == digits.validation.labels).mean()
    assert position.selected["step"] == 16  # of the last epoch: what is kept is what was compared
    assert position.history[-1]["validation"]["clean"] == pytest.approx(rate)


def test_an_average_begins_again_where_weights_are_set(
    digits: data.DataSet, tmp_path: Path
) -> None:
    loop = make(digits, tmp_path, MEMBER, ema=0.9)
    loop.run()
    assert int(loop.average.steps) == 8
    loop._new_member()
    assert int(loop.average.steps) == 0
    weights = loop.model.network.get_weights()
    for mine, theirs in zip(loop.average.network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_best_network_by_validation_is_kept(digits: data.DataSet, tmp_path: Path) -> None:
    loop = make(digits, tmp_path, dataclasses.replace(NATURAL, epochs=4), select_by="clean")
    position = loop.run()
    rates = [row["validation"]["clean"] for row in loop.watcher.rows]
    assert position.selected["value"] == max(rates)
    kept = keras.models.load_model(tmp_path / "best" / "network.keras")
    images, labels = digits.validation.images(), digits.validation.labels
    right = (kept.predict(images, verbose=0).argmax(-1) == labels).mean()
    assert right == pytest.approx(max(rates))


def test_selection_waits_for_the_ramps(digits: data.DataSet, tmp_path: Path) -> None:
    ramped = dataclasses.replace(ROBUST, epochs=3, eps_ramp_epochs=2.5)
    position = make(digits, tmp_path, NATURAL, ramped, select_by="clean").run()
    assert (position.selected["phase"], position.selected["epoch"]) == (1, 3)


def test_an_optimizer_goes_on_or_starts_anew(digits: data.DataSet, tmp_path: Path) -> None:
    kept = dataclasses.replace(ROBUST, reset_optimizer=False)
    for second, iterations in ((kept, 16), (ROBUST, 8)):
        loop = make(digits, tmp_path / str(iterations), NATURAL, second)
        loop.run()
        assert int(loop.model.optimizer.iterations) == iterations


def test_a_batch_larger_than_the_data_is_refused(digits: data.DataSet, tmp_path: Path) -> None:
    loop = make(digits, tmp_path, NATURAL)
    with pytest.raises(UserError, match="at most the 99 training examples; received 100"):
        dataclasses.replace(loop, train=digits.train.take(99))


def test_a_network_is_kept_though_the_last_phase_ended_before_its_ramp(
    digits: data.DataSet, tmp_path: Path
) -> None:
    phase = dataclasses.replace(NATURAL, epochs=9, until="overfit", eps=0.02, eps_ramp_epochs=8.0)
    loop = make(digits, tmp_path, phase)
    loop.guard.drop = -9.0  # an alarm unless the accuracy grows tenfold
    position = loop.run()
    assert position.selected["epoch"] == position.history[-1]["epoch"] < 8
    assert (tmp_path / "best" / "network.keras").exists()


def test_what_replicas_cannot_share_evenly_is_refused() -> None:
    refuse_uneven("batch_size", 6, replicas=2)
    with pytest.raises(UserError, match="batch_size: expected a multiple of the 4 replicas"):
        refuse_uneven("batch_size", 6, replicas=4)


def test_a_clock_of_the_run_leaves_the_next_phase_what_is_left(
    digits: data.DataSet, tmp_path: Path
) -> None:
    """Delayed adversarial training: the schedule goes on, whenever the phases switch."""
    early = Phase(
        epochs=8,
        until="stable",
        clock="run",
        learning_rate=1e-3,
        decay_epochs=(6.0,),
        decay_factor=0.5,
    )
    late = dataclasses.replace(
        early,
        until="epochs",
        attack="fgsm",
        eps=0.02,
        eps_ramp_epochs=2.0,
        reset_optimizer=False,
    )
    loop = make(digits, tmp_path, early, late, stable_tolerance=1e9)
    position = loop.run()
    assert [(row["phase"], row["epoch"]) for row in loop.watcher.rows] == [
        *[(0, epoch) for epoch in (1, 2, 3, 4, 5)],
        *[(1, epoch) for epoch in (1, 2, 3)],
    ]
    assert position.total_steps == 8 * 4
    halved = [v.learning_rate == pytest.approx(5e-4) for v in loop.watcher.values]
    assert halved == [False] * 24 + [True] * 8
    radii = [values.eps for values in loop.watcher.values]
    ramp = [0.02 * step / 8 for step in range(8)]  # it begins with its phase
    assert radii == pytest.approx([0.0] * 20 + ramp + [0.02] * 4)


@pytest.mark.slow
def test_replays_take_every_batch_several_times_and_resume_within_them(
    digits: data.DataSet, tmp_path: Path
) -> None:
    phase = Phase(epochs=2, replays=3, attack="free", eps=0.02)
    whole = make(digits, tmp_path / "whole", phase)
    whole.run()
    assert whole.position.total_steps == 2 * 4 * 3
    labels = [
        batch[1].numpy().tolist() for batch in make(digits, tmp_path / "a", phase).batches(phase)
    ]
    assert len(labels) == 24
    assert all(labels[i] == labels[i + 1] == labels[i + 2] for i in range(0, 24, 3))
    assert len({tuple(row) for row in labels}) == 8
    for stop in (5, 16):
        loop = make(digits, tmp_path / "parts", phase)
        loop.watcher.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    loop = make(digits, tmp_path / "parts", phase)
    loop.run()
    theirs = whole.model.network.get_weights()
    for mine, other in zip(loop.model.network.get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


class Falls(Monitor):
    """A guard's monitor with prescribed accuracies, look by look, which notes the radii."""

    def __init__(self, loop: Loop, *accuracies: float) -> None:
        super().__init__(loop.model.wiring, Linf(), 0.02, None, functools.partial(pgd, steps=1))
        self.attacked, self.radii = list(accuracies), list[float]()

    def accuracies(self, split: data.Split, eps: Any = None) -> Any:
        self.radii.append(float(eps))
        return super().accuracies(split, eps)._replace(attacked=self.attacked.pop(0))


def falling(digits: data.DataSet, folder: Path, phase: Phase, *accuracies: float) -> Loop:
    loop = make(digits, folder, phase)
    loop.guard.monitor = Falls(loop, *accuracies)
    return loop


def assert_weights_are_those_after(
    steps: int, digits: data.DataSet, loop: Loop, phase: Phase, folder: Path
) -> None:
    other = make(digits, folder / "undisturbed", dataclasses.replace(phase, until="epochs"))
    other.watcher.stop_after = steps
    with pytest.raises(KeyboardInterrupt):
        other.run()
    kept = keras.models.load_model(loop.directory / "best" / "network.keras")
    for model in (loop.model.network, kept):
        for mine, theirs in zip(
            model.get_weights(), other.model.network.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_an_alarm_brings_back_the_weights_of_the_epoch_before_and_ends_the_phase(
    digits: data.DataSet, tmp_path: Path
) -> None:
    phase = Phase(epochs=9, until="overfit", attack="fgsm", eps=0.02, learning_rate=0.01)
    loop = falling(digits, tmp_path, phase, *[0.7] * 3, 0.8, 0.9, 0.1)
    position = loop.run()
    assert position.total_steps == 3 * 4
    assert loop.watcher.rows[-1]["steering"]["alarm"] == 1.0
    assert [row["steering"]["guard_accuracy"] for row in loop.watcher.rows] == [0.8, 0.9, 0.1]
    assert_weights_are_those_after(8, digits, loop, phase, tmp_path)
    target, attack = guard(loop.model, tmp_path).monitor, functools.partial(pgd, steps=5)
    wide = Monitor(loop.model.wiring, Linf(), 0.125, None, attack).accuracies(digits.validation)
    assert target.accuracies(digits.validation, tf.constant(0.125)) == wide
    assert wide.attacked < target.accuracies(digits.validation).attacked


def test_a_break_within_the_ramp_brings_back_the_last_good_weights(
    digits: data.DataSet, tmp_path: Path
) -> None:
    """Of the looks within the ramp's epochs: what is neither good nor broken is not kept."""
    phase = Phase(
        epochs=9, until="overfit", attack="fgsm", eps=0.02, eps_ramp_epochs=8.0, learning_rate=0.01
    )
    accuracies = [0.9] * 12 + [0.35] * 2 + [0.01]
    loop = falling(digits, tmp_path, phase, *accuracies)
    position = loop.run()
    assert (position.phase, position.total_steps) == (1, 15)
    assert loop.guard.monitor.radii == pytest.approx([0.02 * step / 32 for step in range(15)])
    row = loop.watcher.rows[-1]
    assert (row["epoch"], row["step"], row["steering"]["alarm"]) == (4, 15, 1.0)
    assert 0.5 < row["point_accuracy"] < 1.0  # the mean over the epoch's three steps
    assert_weights_are_those_after(12, digits, loop, phase, tmp_path)


def test_adaptive_kappa_is_steered_by_validation(digits: data.DataSet, tmp_path: Path) -> None:
    phase = dataclasses.replace(
        ROBUST,
        epochs=4,
        kappa=0.5,
        kappa_from=0.2,
        kappa_step=0.1,
        kappa_every=1,
        kappa_target=0.0,
    )
    loop = make(digits, tmp_path, phase)
    loop.run()
    rates = [row["validation"]["clean"] for row in loop.watcher.rows]
    share = np.bincount(digits.validation.labels).max() / len(digits.validation)
    level = share + 2 * (share * (1 - share) / len(digits.validation)) ** 0.5
    expected, kappa, before = [], 0.2, 0.0
    for now in rates[:-1]:
        kappa = min(kappa + 0.1, 0.5) if now > level and now >= before else kappa
        before = now if now > level else before
        expected.append(kappa)
    seen = [v.kappa for v in loop.watcher.values[::4]]
    assert seen == pytest.approx([0.2, *expected])
    assert len(set(seen)) > 1


def watched_afar(digits: data.DataSet, folder: Path, *phases: Phase) -> Loop:
    """At a radius at which much is left open."""
    loop = make(digits, folder, *phases, select_by="verified")
    loop.monitor.eps = 0.04
    return loop


@pytest.mark.slow
def test_members_of_a_cascade_are_trained_on_what_is_left(
    digits: data.DataSet, tmp_path: Path
) -> None:
    first = dataclasses.replace(MEMBER, epochs=12)
    second = dataclasses.replace(MEMBER, new_member=True, epochs=2)
    loop = watched_afar(digits, tmp_path / "whole", first, second)
    position = loop.run()
    best = tmp_path / "whole" / "best"
    united = keras.models.load_model(best / "network.keras")
    members = models.members(united)
    assert len(members) == 2
    one = keras.models.load_model(best / "member-1.keras")
    images = digits.test.images(slice(20))
    np.testing.assert_allclose(members[0](images), one(images), rtol=1e-5, atol=1e-6)
    certified = loop.monitor.of(trace(one)).certified(loop.train)
    assert 0 < certified.sum() < len(loop.train) - 100
    steering = loop.watcher.rows[-1]["steering"]
    assert steering["member"] == 2
    assert steering["open_examples"] == (~certified).sum()
    steps = (~certified).sum() // 100
    assert position.total_steps == 12 * 4 + 2 * steps
    for stop in (10, 12 * 4 + 1):  # in the first member, in the second
        beside = tmp_path / "parts" / "best" / "member-1.open.json"
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text('{"train": [], "validation": []}')  # of weights that a kill took back
        loop = watched_afar(digits, tmp_path / "parts", first, second)
        loop.watcher.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    watched_afar(digits, tmp_path / "parts", first, second).run()
    again = keras.models.load_model(tmp_path / "parts" / "best" / "network.keras")
    for mine, other in zip(again.get_weights(), united.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_what_a_member_certifies_is_not_left_open_though_it_is_wrong(
    digits: data.DataSet, tmp_path: Path
) -> None:
    """The cascade answers its label there, whatever later members learn."""
    loop = watched_afar(digits, tmp_path, dataclasses.replace(MEMBER, epochs=12))
    loop.run()
    monitor = loop.monitor.of(trace(keras.models.load_model(tmp_path / "best" / "network.keras")))
    wrong = dataclasses.replace(loop.train, labels=(loop.train.labels + 1) % 10)
    np.testing.assert_array_equal(monitor.certified(wrong), monitor.certified(loop.train))
    assert monitor.certified(wrong).any()


def test_a_member_for_whom_nothing_is_left_is_no_member(
    digits: data.DataSet, tmp_path: Path
) -> None:
    first = dataclasses.replace(MEMBER, epochs=20)
    second = dataclasses.replace(first, new_member=True)
    loop = make(digits, tmp_path, first, second)
    loop.monitor.eps = 1e-4  # at which the first one certifies nearly all
    assert loop.run().total_steps == 80
    assert len(models.members(keras.models.load_model(tmp_path / "best" / "network.keras"))) == 1
