"""The gain of several processes that train one network together, on this machine.

    python -m benchmarks.together [--flagfile=configs/digits/ibp.cfg] [--steps=80] [--json=FILE]

Times the steps of a system in one process and in two, each on a core of its own, and counts the
bytes of the gradients that are summed in a step. From these it projects what larger clusters gain,
if a step takes the time that is assumed of one GPU and nothing hides the sum (a ring: each replica
sends the bytes twice, less a share). Connections of this machine are no network: the projection is
of bytes alone, and leaves out the latency of the four sums of a step.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import flags
from rich.console import Console
from rich.table import Table

from pipelines.flags import parsing
from pipelines.flags import run as ours
from pipelines.runs.place import TF_CONFIG, here
from rt_tf.files import write_text

# Replicas, and the bytes a second of the slowest of the links between them.
CLUSTERS = {"8 GPUs, 200 GB/s": (8, 200e9), "4 hosts, 100 Gbit/s": (4, 12.5e9)}
GPU_STEP = 0.01  # seconds of a step on one GPU that are assumed
Figures = dict[str, Any]


def measure(system: list[str], steps: int) -> Figures:
    """The figures of one process and of two, and the efficiencies that are projected."""
    one, two = (_trained(count, system, steps) for count in (1, 2))
    projected = {
        name: efficiency(replicas, two["bytes"] / rate)
        for name, (replicas, rate) in CLUSTERS.items()
    }
    return {"one": one, "two": two, "projected": projected}


def efficiency(replicas: int, seconds: float) -> float:
    """The share of a step that is not spent on sums. seconds: for the bytes to pass a link once."""
    return GPU_STEP / (GPU_STEP + 2.0 * (replicas - 1) / replicas * seconds)


def _trained(count: int, system: list[str], steps: int) -> Figures:
    """The chief's figures of so many processes, each on a core of its own."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    started = []
    for number in range(count):
        environment = placed(workers, number) if count > 1 else None
        words = [sys.executable, "-m", "benchmarks.together", "--worker", f"--steps={steps}"]
        started.append(
            subprocess.Popen(
                [*words, *system],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate() for process in started]
    if any(process.returncode for process in started):
        sys.exit(outputs[0][1][-2000:])
    return dict(json.loads(outputs[0][0].splitlines()[-1]))


def placed(workers: Sequence[str], number: int) -> dict[str, str]:
    """This environment, as it is of one of several workers. workers: their addresses."""
    task = {"type": "worker", "index": number}
    config = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    return {**os.environ, TF_CONFIG: config}


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def worker(system: list[str], steps: int) -> Figures:
    """The figures of a system's steps in this process and those that train with it."""
    place = here("auto")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[place.number % len(cores)]})
    from pipelines.assembly import devices, inputs
    from pipelines.stages import training

    values = flags.FlagValues()
    parsing.parse(["train", *system], ours.training_groups(values), "")
    strategy = devices.strategy("auto", place=place)
    devices.prepare_tensorflow(values.seed)
    with tempfile.TemporaryDirectory() as folder:
        loop = training.make_loop(values, inputs.load_data(values), Path(folder), strategy)
    step, phase, times = loop.begin_phase(), loop.phases[0], []
    for _, batch in zip(range(steps), loop.batches(phase), strict=False):
        began = time.perf_counter()
        loop.take_step(step, batch, phase.values(phase.epochs))
        times.append(time.perf_counter() - began)
    loop.workers.wait()
    weights = sum(weight.shape.num_elements() for weight in loop.model.network.trainable_variables)
    median = sorted(times[steps // 4 :])[len(times[steps // 4 :]) // 2]
    images = values.batch_size / median
    return {"milliseconds": 1000 * median, "images_a_second": images, "bytes": 4 * weights}


def table(figures: Figures) -> Table:
    """The figures as a table."""
    shown = Table("", "ms a step", "images/s", "gradients, MB")
    for name in ("one", "two"):
        row = figures[name]
        shown.add_row(
            f"{name} process{'es' if name == 'two' else ''}",
            f"{row['milliseconds']:.1f}",
            f"{row['images_a_second']:,.0f}",
            f"{row['bytes'] / 1e6:.2f}",
        )
    shown.add_section()
    for name, share in figures["projected"].items():
        shown.add_row(f"{name}: projected", "", f"{100 * share:.1f} % of linear", "")
    shown.caption = f"projected for steps of {1000 * GPU_STEP:.0f} ms on one GPU, from bytes alone"
    return shown


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flagfile", default="configs/digits/ibp.cfg", help="the system")
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--steps", type=int, default=80, help="steps, of which a quarter warms up")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--worker", action="store_true", help="be one of the processes")
    arguments = parser.parse_args()
    named = {"flagfile": arguments.flagfile, "data_dir": arguments.data_dir}
    system = [f"--{name}={value}" for name, value in named.items() if value]
    if arguments.worker:
        print(json.dumps(worker(system, arguments.steps)), flush=True)
        os._exit(0)  # TensorFlow would wait for the others
    figures = measure(system, arguments.steps)
    Console(width=100).print(table(figures))
    if arguments.json:
        write_text(arguments.json, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
