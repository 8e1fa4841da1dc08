"""Training steps on one replica and on several, weight by weight: a process of its own.

    python -m tests.training.replicated <data folder> <replicas, as 2,4> <steps> < cases

Cases are lines of a name and flags. Logical CPUs must be made before TensorFlow is used.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from pipelines.flags import parsing
from pipelines.flags import run as ours
from pipelines.stages import training
from rt_tf import data
from rt_tf.training.loop.loop import Loop

COMMON = ["--model=digits_fc", "--batch_size=48", "--clip_norm=0.5", "--epsilon=0.05"]
COMMON += ["--optimizer=sgd", "--learning_rate=0.02"]  # Adam makes steps of gradients of no size


def logical_devices(count: int) -> list[str]:
    """Makes so many logical CPUs; their names."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)
    return [device.name for device in tf.config.list_logical_devices("CPU")]


def build_loop(strategy: tf.distribute.Strategy, folder: Path, arguments: list[str]) -> Loop:
    """The loop that flags describe, under a strategy."""
    values = flags.FlagValues()
    parsing.parse(["train", *COMMON, *arguments], ours.training_groups(values), "")
    return training.make_loop(values, data.load("digits", sys.argv[1]), folder, strategy)


def trained(
    strategy: tf.distribute.Strategy, steps: int, arguments: list[str], folder: Path
) -> tuple[list[float], list[np.ndarray]]:
    """The losses of steps, or of epochs where there are several phases, and the weights after.

    folder: the run's, which all processes share.
    """
    loop = build_loop(strategy, folder, arguments)
    if len(loop.phases) > 1:
        loop.run()
        return [row["loss"] for row in loop.position.history], loop.model.network.get_weights()
    step, seen = loop.begin_phase(), []
    for _, batch in zip(range(steps), loop.batches(loop.phases[0]), strict=False):
        terms = loop.take_step(step, batch, loop.phases[0].values(1.0))
        seen.append(terms["loss"])
    averaged = loop.average.network.get_weights() if loop.average else []
    return seen, [*loop.model.network.get_weights(), *averaged]


def compare(folder: Path) -> None:
    """Writes a line for each case and number of replicas: how far apart losses and weights are.

    Of losses, the difference as a share of them. folder: of the runs.
    """
    counts, steps = [int(n) for n in sys.argv[2].split(",")], int(sys.argv[3])
    names = logical_devices(max(counts))
    together = tf.distribute.ReductionToOneDevice()
    for line in sys.stdin.read().splitlines():
        name, *arguments = line.split()
        one = tf.distribute.get_strategy()
        losses, weights = trained(one, steps, arguments, folder / name)
        for count in counts:
            several = tf.distribute.MirroredStrategy(names[:count], cross_device_ops=together)
            rows, others = trained(several, steps, arguments, folder / f"{name}_{count}")
            apart = max(np.abs(a - b).max() for a, b in zip(weights, others, strict=True))
            loss = np.abs(np.subtract(losses, rows) / losses).max()
            sys.stdout.write(f"{name} {count} {loss} {apart}\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder))
