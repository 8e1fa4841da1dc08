"""One replica and two take the same steps. Two logical CPUs need a process of their own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from absl import flags
from pipelines import flags as ours
from pipelines import parsing, system, training
from rt_tf import data


def trained(strategy: str, *arguments: str) -> list[np.ndarray]:
    keras.utils.set_random_seed(0)
    values = flags.FlagValues()
    groups = ours.training_groups(values)
    common = ["--model=digits_fc", "--epochs=1", "--batch_size=48", "--clip_norm=0.5"]
    parsing.parse(["train", *common, f"--strategy={strategy}", *arguments], groups, "")
    dataset = data.load("digits", sys.argv[1])
    loop = training.make_loop(values, dataset, Path("unused"))
    step = loop.begin_phase()
    losses = []
    for _, batch in zip(range(5), loop.batches(loop.phases[0])):
        terms = loop.take_step(step, batch, loop.phases[0].values(1.0))
        losses.append([terms["loss"], terms["point_accuracy"]])
    return [np.array(losses), *loop.model.network.get_weights()]


for arguments in (
    ["--attack=pgd", "--attack_steps=2"],
    ["--attack=fgsm", "--attack_start=previous"],
    ["--attack=free", "--replays=2"],
    ["--attack=pgd", "--attack_steps=2", "--mixup=1.4"],
    ["--attack=pgd", "--attack_steps=2", "--trades_beta=3"],
    ["--bound=crown_ibp", "--kappa=0.5", "--bound_samples=12"],
):
    for one, two in zip(trained("default", *arguments), trained("mirrored", *arguments)):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=2e-5)
print("replicas:", system.strategy("mirrored", False).num_replicas_in_sync)
"""


def test_one_replica_and_two_take_the_same_steps(digits_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(digits_dir)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replicas: 2" in done.stdout
