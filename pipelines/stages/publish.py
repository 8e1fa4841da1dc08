"""The export and report stages: the products of a finished run."""

import contextlib
import json
from collections.abc import Iterator

from pipelines.assembly import inputs
from pipelines.console import terminal
from pipelines.flags.run import run_flags
from pipelines.runs.directory import RunDirectory
from pipelines.runs.restoring import load_network
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.evaluation import proving
from rt_tf.records.consistency import Inconsistent
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks.text import sanity_lines, suite_table
from rt_tf.reporting.report import write_report
from rt_tf.reporting.summary import main_question
from rt_tf.reporting.tensorboard import TensorBoard
from rt_tf.reporting.text import ACCURACIES, model_card, radius_lines, summary_text, terminal_table
from rt_tf.serving import saved_model, versions
from rt_tf.threats.region import Threat

PARITY_IMAGES = 100
ASKED = ("name", "threat", "epsilon", *ACCURACIES)


def export_model(run: RunDirectory, dataset: data.DataSet, threat: Threat) -> None:
    """Writes the SavedModel of the run's network, checked against the Keras model."""
    images = dataset.validation.images(slice(0, PARITY_IMAGES))
    try:
        saved_model.export(load_network(run), threat, images, run.export, dataset.domain)
    except saved_model.ParityError as error:
        raise UserError(
            f"export: expected the SavedModel to compute what the network does; {error}; "
            f"{run.export} is as it was"
        ) from error


def is_published(run: RunDirectory, version: int) -> bool:
    """Whether a version is the run's network already; UserError where it is something else."""
    return versions.is_published(run.served, version, run.facts()["network_sha256"])


def export_version(run: RunDirectory, version: int) -> None:
    """Copies the export to a version for TensorFlow Serving, and prints where it is."""
    was_there = is_published(run, version)
    path = versions.publish(run.export, run.served, version)
    line = f"{path} holds this network already" if was_there else f"version {version}: {path}"
    terminal(soft_wrap=True).print(line)


def mend_export(run: RunDirectory, dataset: data.DataSet) -> None:
    """Exports a run's network anew if files of its SavedModel are damaged, and prints a line."""
    damage = saved_model.damage(run.export)
    if damage is not None:
        export_model(run, dataset, inputs.threat(run_flags(run.frozen())))
        line = f"{run.export}: {damage} was damaged: exported anew from {run.network}"
        terminal(soft_wrap=True).print(line)


@contextlib.contextmanager
def contradictions_as_errors(run: RunDirectory) -> Iterator[None]:
    """Raises UserError, with a way out, for records that contradict each other."""
    try:
        yield
    except Inconsistent as error:
        raise UserError(
            f"records: expected undamaged ones that agree; {error}; once {run.records} (or the "
            "part that is wrong) is deleted, certify and evaluate write it anew"
        ) from error


def report(run: RunDirectory, dataset: data.DataSet) -> Row:
    """Writes the report, puts it into the export and TensorBoard, and prints its table."""
    with contradictions_as_errors(run):
        result = write_report(run.path, originals=lambda rows: dataset.test.images(rows))
        proving.write(
            load_network(run),
            run.records,
            run.export / saved_model.EXTRA,
            lambda rows: dataset.test.images(rows),
        )
    if run.facts().get("history") and not run.history.exists():
        line = f"{run.history} is missing: the report is without the training's history"
        terminal(soft_wrap=True).print(line)
    saved_model.attach(
        run.export,
        {
            "report.json": json.dumps(result, indent=1),
            "report.html": (run.path / "report" / "report.html").read_text(),
            "MODEL_CARD.md": model_card(result),
        },
    )
    board = TensorBoard(run.logs, dataset.validation, dataset.class_names)
    board.text("report", summary_text(result))
    main = main_question(result)
    board.headline(run.frozen(), {name: main[name] for name in ACCURACIES})
    _tell(run, result)
    return result


def _tell(run: RunDirectory, report: Row) -> None:
    """Prints the accuracies by radius, the certified radii and the suites of a report."""
    shown = terminal()
    shown.tell(
        "result",
        terminal_table(report),
        *radius_lines(report),
        system=report["system"],
        report=run.path / "report" / "report.json",
        questions=[{name: question[name] for name in ASKED} for question in report["questions"]],
        radii=report["radii"],
        warnings=report["warnings"],
    )
    for suite in report["suites"]:
        shown.print(suite_table(suite))
    if report["suites"]:
        shown.print(*sanity_lines(report), sep="\n")
