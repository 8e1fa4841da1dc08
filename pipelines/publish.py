"""The export and report stages: what a finished run hands out."""

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from absl import flags
from rich.console import Console

from pipelines import system
from pipelines.questions import load_network
from pipelines.run_directory import RunDirectory
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.reporting import export
from rt_tf.reporting.report import write_report
from rt_tf.reporting.text import model_card, summary_text, terminal_table
from rt_tf.threats.region import Threat
from rt_tf.training.tensorboard import TensorBoard

PARITY_IMAGES = 100


def export_model(run: RunDirectory, dataset: data.DataSet, threat: Threat) -> None:
    """Writes the SavedModel of the run's network, checked against the Keras model."""
    images = dataset.validation.images(slice(0, PARITY_IMAGES))
    export.export(load_network(run), threat, images, run.export)


def report(run: RunDirectory, dataset: data.DataSet, screen: Console) -> None:
    """Writes the report, puts it into the export and TensorBoard, and prints its table."""
    found = write_report(run.path, originals=lambda rows: dataset.test.images(rows))
    export.attach(
        run.export,
        {
            "report.json": json.dumps(found, indent=1),
            "report.html": (run.path / "report" / "report.html").read_text(),
            "MODEL_CARD.md": model_card(found),
        },
    )
    TensorBoard(run.logs, dataset.validation).text("report", summary_text(found))
    Console(highlight=False).print(terminal_table(found))


class Finished(NamedTuple):
    """A run whose training is done, its data and its threat."""

    run: RunDirectory
    dataset: data.DataSet
    threat: Threat
    epsilon: float

    def radii(self, values: flags.FlagValues) -> list[tuple[float, int]]:
        """The radii asked for, with the number of samples; the run's own if none are."""
        radii = [self.epsilon] if values.epsilon is None else list(values.epsilon)
        for eps in radii:
            system.check_radius(self.threat, eps, "epsilon")
        return [(eps, values.samples) for eps in radii]


@contextlib.contextmanager
def opened(values: flags.FlagValues, trained: flags.FlagValues) -> Iterator[Finished]:
    """Holds a finished run; data_dir and download are taken from `values` where given there."""
    run = RunDirectory(values.model_dir)
    if "train" not in run.done():
        raise UserError(
            f"model_dir: expected a run that has finished training; {run.path} has not; go on with "
            "it by the command that began it"
        )
    trained.data_dir = values.data_dir or trained.data_dir
    trained.download = values.download
    system.prepare_tensorflow()
    with run.locked():
        dataset = system.load_data(trained)
        yield Finished(run, dataset, system.threat(trained), trained.epsilon)
