"""The plan of a run: its size, the time of one measured step in each phase, and its memory."""

import math
import tempfile
import time
from pathlib import Path

from absl import flags
from rich.table import Table

from pipelines.assembly import devices, inputs
from pipelines.console import terminal
from pipelines.stages.training import checked_loop
from rt_tf import data, models
from rt_tf.catalogue.datasets import dataset_name
from rt_tf.errors import UserError
from rt_tf.machine import memory, peak_memory
from rt_tf.training.loop.loop import Loop

MEASURED = 5
LEAST = 16 * 2**20  # bytes of a batch, below which its memory is lost among other things


def show_plan(values: flags.FlagValues) -> None:
    """Prints the plan of a run, after a few steps of each phase on the real data."""
    strategy = devices.strategy(values.strategy, values.jit_compile)
    devices.prepare_tensorflow(values.seed, values.deterministic)
    dataset, notes = _data(values)
    with tempfile.TemporaryDirectory() as nowhere:
        loop = checked_loop(values, dataset, Path(nowhere), strategy)
        screen = terminal()
        screen.print(
            f"{values.system}: {values.model} on {values.dataset}, {len(dataset.train):,} training "
            f"examples\n{loop.model.network.count_params():,} parameters, "
            f"{models.hidden_units(loop.model.network):,} hidden units"
        )
        half = _peak_of_half(loop)
        screen.print(_table(loop))
        for note in notes:
            screen.print(note)
    screen.print(memory_line(half, peak_memory(), loop.settings.batch_size, values.memory))
    screen.print("nothing was written")


def _data(values: flags.FlagValues) -> tuple[data.DataSet, list[str]]:
    """The data, or synthetic images of their shape with a note, where they cannot be loaded."""
    try:
        return inputs.load_data(values), []
    except UserError as error:
        if not dataset_name(values.dataset).is_listed:
            raise
        synthetic = data.synthetic(
            values.dataset, values.validation, values.seed, inputs.image_range(values)
        )
        return synthetic, [f"measured on made-up images: {error}"]


def _table(loop: Loop) -> Table:
    table = Table("phase", "attack", "bound", "steps", "one step", "images/s", "in all")
    total = 0.0
    for number, (phase, steps) in enumerate(zip(loop.phases, loop.most_steps(), strict=True)):
        seconds = measured_step(loop, number)
        total += steps * seconds
        cells = (str(number + 1), phase.attack, phase.bound, f"{steps:,}")
        pace = f"{loop.settings.batch_size / seconds:,.0f}"
        table.add_row(*cells, f"{1000 * seconds:.1f} ms", pace, _duration(steps * seconds))
    table.add_row("all", "", "", "", "", "", _duration(total), style="bold")
    table.caption = "training steps alone: evaluations and the test split come on top"
    return table


def _peak_of_half(loop: Loop) -> int | None:
    """The most bytes of the process after a step of each phase on half a batch, taken first.

    None where replicas share a batch, or it has one example.
    """
    if loop.strategy.num_replicas_in_sync > 1 or loop.settings.batch_size < 2:
        return None
    for number, phase in enumerate(loop.phases):
        loop.position.phase = number
        step = loop.begin_phase()
        batch = next(loop.batches(phase), None)
        if batch is not None:
            some = tuple(part[: loop.settings.batch_size // 2] for part in batch)
            loop.take_step(step, some, phase.values(phase.epochs))
    return peak_memory()


def memory_line(half: int | None, whole: int, batch_size: int, limit: float) -> str:
    """The peak of the measured steps in words, and the largest batch that a memory has room for.

    half, whole: the most bytes with half a batch, and with all of it; half is None where it was not
    measured. limit: GiB; 0: the machine's.
    """
    line = f"memory: {whole / 2**30:.1f} GiB at the peak of these steps"
    if half is None:
        return line
    each = (whole - half) / (batch_size - batch_size // 2)
    room = limit * 2**30 or memory()
    if each * batch_size < LEAST:
        return f"{line}, of which the batch takes little"
    largest = batch_size + math.floor((room - whole) / each)
    fits = f"batches of up to about {largest:,} fit" if largest > 0 else "no batch fits"
    return f"{line}, {each / 2**20:.2g} MiB an example: {fits} {room / 2**30:.3g} GiB"


def measured_step(loop: Loop, number: int) -> float:
    """The seconds of one step of a phase, at its final radius: the median after the first."""
    loop.position.phase = number
    step = loop.begin_phase()
    phase = loop.phases[number]
    seconds = []
    for _, batch in zip(range(MEASURED + 1), loop.batches(phase), strict=False):
        began = time.perf_counter()
        loop.take_step(step, batch, phase.values(phase.epochs))
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[1:] or seconds)[len(seconds[1:]) // 2]


def _duration(seconds: float) -> str:
    if seconds < 36_000:
        return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
