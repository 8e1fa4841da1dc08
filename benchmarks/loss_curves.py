"""Losses of natural training, epoch by epoch, on which the rule by which DAT switches is judged.

    python -m benchmarks.loss_curves --data_dir=<your TFDS folder>
    python -m benchmarks.loss_curves --table

Trains networks naturally at a constant rate, as delayed adversarial training does before its switch
to PGD, and keeps each one's losses in benchmarks/results/loss_curves.json as it ends: killed, it
goes on with the same command. Then prints after which epoch the rule switches, by tolerance, and
what share of the time that saves. `--table` only prints.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags as absl_flags

from pipelines.flags import run
from pipelines.flags.parsing import parse
from rt_tf.files import write_text
from rt_tf.training.loop.stability import stable

RESULTS = Path(__file__).parent / "results" / "loss_curves.json"
TOLERANCES = (2.0, 1.0, 0.5, 0.3)
UNWATCHED = ["--monitor_every=1000", "--monitor_attack_steps=0", "--monitor_samples=1"]
UNWATCHED += ["--monitor_bound=none", "--checkpoint_seconds=1000000"]
CIFAR = ["--dataset=cifar10", "--model=wong_small", "--normalization=dataset", "--augment"]
CIFAR += ["--optimizer=sgd", "--learning_rate=0.05", "--l2=0.0005", "--batch_size=128"]
CURVES = {
    "digits_fc": ["--dataset=digits", "--model=digits_fc", "--epochs=100"],
    "digits_cnn": ["--dataset=digits", "--model=digits_cnn", "--epochs=100"],
    "mnist": ["--dataset=mnist", "--model=wong_small", "--epochs=24"],
    "cifar10": [*CIFAR, "--epochs=60"],
}


def record(arguments: list[str], folder: Path) -> list[float]:
    """The mean training loss of every epoch."""
    from pipelines.assembly import devices, inputs
    from pipelines.stages import training

    values = absl_flags.FlagValues()
    parse(["train", *arguments, *UNWATCHED], run.training_groups(values), "")
    devices.prepare_tensorflow(values.seed)
    loop = training.make_loop(values, inputs.load_data(values), folder, devices.strategy())
    steps = Steps()
    loop.watcher = steps
    loop.run()
    count = loop.steps_per_epoch
    epochs = [steps.losses[i : i + count] for i in range(0, len(steps.losses), count)]
    return [sum(epoch) / count for epoch in epochs]


def switch(losses: Sequence[float], tolerance: float) -> int | None:
    """The epoch after which a natural phase ends; None if its loss is not stable within it."""
    epochs = range(1, len(losses) + 1)
    return next((t for t in epochs if stable(losses[:t], tolerance)), None)


def saved(epoch: int, epochs: int, steps: int) -> float:
    """The share of PGD's training time that `epoch` natural epochs of all `epochs` save.

    steps: of PGD; each takes about as long as a natural step.
    """
    return epoch / epochs * steps / (steps + 1)


def table(losses_by_name: dict[str, list[float]]) -> str:
    """The switches as markdown: a row for each network, a column for each tolerance."""
    cells = " | ".join(f"{tolerance:g}" for tolerance in TOLERANCES)
    lines = [f"| network | epochs | {cells} |", "|---" * (len(TOLERANCES) + 2) + "|"]
    for name, losses in losses_by_name.items():
        row = [_cell(switch(losses, t), len(losses)) for t in TOLERANCES]
        lines.append(f"| {name} | {len(losses)} | {' | '.join(row)} |")
    return "\n".join(lines)


def _cell(epoch: int | None, epochs: int) -> str:
    return "-" if epoch is None else f"{epoch} ({100 * saved(epoch, epochs, steps=10):.0f} %)"


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    curves = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    where = [f"--data_dir={arguments.data_dir}"] if arguments.data_dir else []
    for name in [] if arguments.table else [name for name in CURVES if name not in curves]:
        with tempfile.TemporaryDirectory() as folder:
            curves[name] = record([*CURVES[name], *where], Path(folder))
        write_text(RESULTS, json.dumps(curves, indent=1) + "\n")
    print(table(curves))


class Steps:
    """A watcher that keeps the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_resume(self, position: Any, notices: Sequence[str]) -> None:
        """Stores nothing."""

    def on_step(self, position: Any, values: Any, terms: dict[str, float]) -> None:
        """Stores the loss."""
        self.losses.append(terms["loss"])

    def on_epoch(self, position: Any, row: dict[str, Any], monitor: Any) -> None:
        """Stores nothing."""


if __name__ == "__main__":
    main()
