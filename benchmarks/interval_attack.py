"""The interval attack against PGD and CW at equal time: MixTrain's Table I in small.

    python -m benchmarks.interval_attack --data_dir=DIR [--network=FILE] [--seconds=40]

MixTrain's FC1 (two layers of 512 units) is trained on MNIST by PGD at eps .3, with fewer epochs and
attack steps than the paper's, and kept in the file --network, from which later calls take it. Each
attack is restarted on those of the first test images that withstood it, until its seconds are used
up; they take turns, so that a machine whose speed drifts slows all alike. CW is PGD on the margin.
The attack rate is the share of all images that are misclassified, as they are or attacked.
"""

import argparse
import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.timing import surroundings
from rt_tf import catalogue, data, models
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.interval import interval_attack
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.judging import Attack, attack_with_restarts
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked

EPS = 0.3
RESULT = Path(__file__).parent / "results" / "interval_attack.json"
PAPER = {"pgd": 39.2, "cw": 42.2, "interval": 56.2}  # Wang et al. 2018 (MixTrain), Table I, in %


class Schedule(NamedTuple):
    """The training of FC1. growing: epochs over which eps grows, without which it learns little.

    The paper trains with 40 attack steps of .01 and without growth.
    """

    epochs: int = 14
    growing: int = 8
    attack_steps: int = 7
    batch: int = 100
    rate: float = 1e-3


class Setting(NamedTuple):
    """An attack and the loss it climbs."""

    attack: Attack
    loss: str


def settings(steps: int, pgd_steps: int) -> dict[str, Setting]:
    """The attacks that are compared. steps: interval steps; pgd_steps: before each, and of PGD."""
    climb = functools.partial(pgd, steps=pgd_steps, early_stop=True)
    follow = functools.partial(interval_attack, steps=steps, pgd_steps=pgd_steps)
    return {
        "pgd": Setting(climb, "ce"),
        "cw": Setting(climb, "margin"),
        "interval": Setting(follow, "ce"),
    }


def trained(file: Path | None, dataset: data.DataSet, schedule: Schedule) -> keras.Model:
    """The network of a file, or a new one, which is written there. file: None for no file."""
    keras.utils.set_random_seed(0)
    network = models.build("mixtrain_fc1", dataset.shape, dataset.classes)
    if file is not None and file.exists():
        network.load_weights(file)
        return network
    train(network, dataset.train, schedule)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        network.save_weights(file)
    return network


def train(network: keras.Model, split: data.Split, schedule: Schedule) -> None:
    """Trains a network by PGD."""
    robust = RobustModel(network)
    attack = functools.partial(pgd, steps=schedule.attack_steps)
    adam = keras.optimizers.Adam(schedule.rate)
    robust.compile(adam, objective=Objective(Linf(), Attacked(attack)), jit_compile=False)
    steps = len(split) // schedule.batch * schedule.growing

    def grow(batch: int, logs: Any) -> None:
        robust.eps.assign(EPS * min(1.0, int(robust.optimizer.iterations) / steps))

    robust.fit(
        split.images(),
        split.labels,
        batch_size=schedule.batch,
        epochs=schedule.epochs,
        verbose=2,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=grow)],
    )


class Victim(NamedTuple):
    """A network and the images it is attacked on."""

    task: Task
    wrong: np.ndarray  # [images] bool, misclassified without an attack

    @classmethod
    def of(cls, network: keras.Model, split: data.Split) -> "Victim":
        graph, x = trace(network).lower(), tf.constant(split.images())
        labels = tf.constant(split.labels)
        keys = noise.keys(tf.constant([0, 0]), tf.constant(split.index))
        task = Task(graph, Region(Linf(), x, EPS), labels, keys)
        return cls(task, task.errs(task.logits(x)).numpy())


class Contender:
    """An attack at work. success: [images] bool. seconds, restarts: so far."""

    def __init__(self, victim: Victim, setting: Setting) -> None:
        self.attack = compiled(victim.task, setting)
        self.attack(tf.constant([0], tf.int64), 0)  # so that tracing costs no time later
        self.success = victim.wrong.copy()
        self.seconds, self.restarts = 0.0, 0

    def turn(self, limit: float) -> None:
        """Restarts on the images that withstood so far; counts if it ends within the limit."""
        rows, began = np.flatnonzero(~self.success), time.perf_counter()
        success = self.attack(tf.constant(rows), self.restarts).numpy()
        self.seconds += time.perf_counter() - began
        if self.seconds <= limit:
            self.success[rows] = success
            self.restarts += 1


def compiled(task: Task, setting: Setting) -> Callable[..., tf.Tensor]:
    """A function of places of images and a restart: whether the attack succeeds on each."""
    task = dataclasses.replace(task, loss=catalogue.resolve("loss", setting.loss))

    def once(rows: tf.Tensor, restart: tf.Tensor) -> tf.Tensor:
        return attack_with_restarts(
            task.take(rows).restart(restart), setting.attack, uniform
        ).success

    signature = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([], tf.int64)]
    return tf.function(once, input_signature=signature, autograph=False)


def compete(victim: Victim, compared: dict[str, Setting], seconds: float) -> dict[str, Contender]:
    """The attacks after so many seconds each; the next turn is that of the one with the least."""
    contenders = {name: Contender(victim, setting) for name, setting in compared.items()}
    while True:
        behind = min(contenders.values(), key=lambda contender: contender.seconds)
        if behind.seconds >= seconds:
            return contenders
        behind.turn(seconds)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they are printed and written."""
    schedule = Schedule()
    dataset = data.load("mnist", arguments.data_dir)
    network = trained(arguments.network, dataset, schedule)
    victim = Victim.of(network, dataset.test.take(arguments.images))
    compared = settings(arguments.steps, arguments.pgd_steps)
    contenders = compete(victim, compared, arguments.seconds)
    return {
        "eps": EPS,
        "schedule": schedule._asdict(),
        "images": len(victim.wrong),
        "steps": arguments.steps,
        "pgd_steps": arguments.pgd_steps,
        "misclassified": float(victim.wrong.mean()),
        "rows": {name: figures(contender, contenders) for name, contender in contenders.items()},
        **surroundings(),
    }


def figures(contender: Contender, all_of_them: dict[str, Contender]) -> dict[str, Any]:
    """The figures of an attack: its rate, time, and images on which it alone succeeded."""
    others = [other.success for other in all_of_them.values() if other is not contender]
    return {
        "attack_rate": float(contender.success.mean()),
        "alone": int((contender.success & ~np.any(others, axis=0)).sum()),
        "seconds": contender.seconds,
        "restarts": contender.restarts,
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table("attack", "attack rate", "paper", "alone", "seconds", "restarts")
    for name, row in figures["rows"].items():
        paper = f"{PAPER[name]:.1f} %" if name in PAPER else ""
        cells = str(row["alone"]), f"{row['seconds']:.1f}", str(row["restarts"])
        table.add_row(name, f"{100 * row['attack_rate']:.1f} %", paper, *cells)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"misclassified as they are: {100 * figures['misclassified']:.1f} %")


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="where TFDS keeps its data sets")
    parser.add_argument("--network", type=Path, help="file of the trained network: *.weights.h5")
    parser.add_argument("--images", type=int, default=1024, help="test images, from the first")
    parser.add_argument("--seconds", type=float, default=40.0, help="time of each attack")
    parser.add_argument("--steps", type=int, default=5, help="interval steps of a restart")
    parser.add_argument("--pgd_steps", type=int, default=10, help="PGD steps before each of them")
    parser.add_argument("--json", type=Path, default=RESULT, help="file to write the figures to")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except UserError as error:
        parser.error(str(error))
    show(figures)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
