"""Training steps and certification by number format, on the GPU if there is one.

    python -m benchmarks.gpu [--rounds=10] [--batch=256] [--networks=wong_small,cnn7] [--json=FILE]

The steps of several systems, on made-up images, in float32, TensorFloat-32, bfloat16 and float16,
with and without XLA; and the images that a second certifies, by sound bounds in float32. `of floor`
is the share of a step's time that its multiply-adds alone would take, at the rate of a large matrix
product in the same format on the same device. The steps of a network in a format take turns.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks import arithmetic
from benchmarks.step_cost import PASSES, objectives
from benchmarks.timing import Job, product_rate, surroundings
from rt_tf import catalogue, models
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.files import write_text
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel

CLASSES = 10
EPS = 0.01
SHAPES = {"wong_small": (28, 28, 1), "wong_large": (28, 28, 1), "cnn7": (32, 32, 3)}
SYSTEMS = ("natural", "pgd-10", "ibp", "crown-ibp")
BOUNDS = ("interval", "crown_ibp", "crown")
Row = dict[str, Any]


class Format(NamedTuple):
    """A format of numbers. policy: Keras's name of it; product: the type of products' factors.

    tf32: whether products of float32 round to TF32.
    """

    policy: str
    product: tf.DType
    tf32: bool = False


FORMATS = {
    "float32": Format("float32", tf.float32),
    "TF32": Format("float32", tf.float32, tf32=True),
    "bfloat16": Format("mixed_bfloat16", tf.bfloat16),
    "float16": Format("mixed_float16", tf.float16),
}


def device() -> str:
    """The name of the device that the figures are of."""
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "CPU"


def network(name: str, policy: str = "float32") -> keras.Model:
    """A network of random weights that computes by a Keras policy."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        return models.build(name, SHAPES[name], CLASSES)
    finally:
        keras.config.set_dtype_policy("float32")


def examples(name: str, batch: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Made-up images [batch, ...] of a network's shape, and labels [batch]."""
    x = tf.random.stateless_uniform([batch, *SHAPES[name]], [0, 0])
    return x, tf.range(batch, dtype=tf.int64) % CLASSES


def training_step(name: str, system: str, policy: str, batch: int, xla: bool) -> Job:
    """A timed training step, traced and run once."""
    optimizer: Any = keras.optimizers.Adam(1e-4)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = RobustModel(network(name, policy))
    model.compile(optimizer, objective=objectives()[system])
    model.eps.assign(EPS)
    model.kappa.assign(0.5)
    x, labels = examples(name, batch)
    step = tf.function(lambda: model.step(x, labels).loss, autograph=False, jit_compile=xla)
    return Job(lambda: step().numpy())


def steps(name: str, batch: int, rounds: int) -> Iterator[Row]:
    """Yields the row of each system's step on a network, in each format, without and with XLA."""
    clean = batch * multiply_adds(name)
    for title, (policy, dtype, tf32) in FORMATS.items():
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        rate = product_rate(dtype=dtype)
        jobs = {
            (system, xla): training_step(name, system, policy, batch, xla)
            for system in SYSTEMS
            for xla in (False, True)
        }
        for _ in range(rounds):
            for job in jobs.values():
                job.turn()
        for (system, xla), job in jobs.items():
            floor = PASSES[system] * clean / rate
            row: Row = {"network": name, "system": system, "format": title, "xla": xla}
            yield row | {"milliseconds": 1000 * job.median, "of_floor": floor / job.median}
    tf.config.experimental.enable_tensor_float_32_execution(False)


def multiply_adds(name: str) -> float:
    """The multiply-adds of one example's logits."""
    graph = trace(network(name)).lower()
    x, _ = examples(name, 2)
    return arithmetic.forward(graph, enclose(graph, Box(x, x)).shapes)


def certification(name: str, batch: int, rounds: int) -> Iterator[Row]:
    """Yields the images a second of each sound bound of all margins, in float32."""
    wiring = trace(network(name))
    x, labels = examples(name, batch)
    for bound in BOUNDS:
        job = Job(_certifying(catalogue.resolve("bound", bound), wiring.lower, x, labels))
        for _ in range(rounds):
            job.turn()
        yield {"network": name, "bound": bound, "images_per_second": batch / job.median}


def _certifying(
    bound: Callable[..., Any], lower: Callable[[], Any], x: tf.Tensor, labels: tf.Tensor
) -> Callable[[], Any]:
    def margins() -> tf.Tensor:
        region, spec = Region(Linf(), x, EPS), margin_spec(labels, CLASSES)
        return bound(lower(), region, spec, arithmetic="sound").margins

    compiled = tf.function(margins, autograph=False)
    return lambda: compiled().numpy()


def step_table(rows: list[Row]) -> Table:
    """A row for each network and system, a column for each format: milliseconds, of floor."""
    table = Table("network", "system", "XLA", *(f"{title}: ms, of floor" for title in FORMATS))
    cells = {(r["network"], r["system"], r["xla"], r["format"]): r for r in rows}
    for name, system, xla in dict.fromkeys(key[:3] for key in cells):
        values = [cells[name, system, xla, title] for title in FORMATS]
        shown = [f"{v['milliseconds']:.1f}, {100 * v['of_floor']:.0f} %" for v in values]
        table.add_row(name, system, "yes" if xla else "no", *shown)
    return table


def certification_table(rows: list[Row]) -> Table:
    """The images a second of each network and bound."""
    table = Table("network", "bound", "images/s, sound")
    for row in rows:
        table.add_row(row["network"], row["bound"], f"{row['images_per_second']:,.0f}")
    return table


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="timed runs of each computation")
    parser.add_argument("--batch", type=int, default=256, help="images of a step")
    parser.add_argument("--networks", default="wong_small,cnn7", help=", ".join(SHAPES))
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args()
    names, batch, rounds = arguments.networks.split(","), arguments.batch, arguments.rounds
    if unknown := [name for name in names if name not in SHAPES]:
        parser.error(f"networks: expected some of {', '.join(SHAPES)}; received {unknown[0]}")
    trained = [row for name in names for row in steps(name, batch, rounds)]
    certified = [row for name in names for row in certification(name, batch, rounds)]
    console = Console(width=140)
    console.print(f"{device()}, batches of {batch}")
    console.print(step_table(trained), certification_table(certified))
    if arguments.json:
        figures = {"device": device(), "steps": trained, "certification": certified}
        write_text(arguments.json, json.dumps(figures | surroundings(), indent=1) + "\n")


if __name__ == "__main__":
    main()
