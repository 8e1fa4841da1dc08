"""Making a run around a network that was trained elsewhere."""

import tempfile
from pathlib import Path

import keras
from absl import flags
from rich.console import Console

from pipelines import network_file, publish
from pipelines.comparing import compared
from pipelines.given import GivenFile, checksum, given_file, given_texts
from pipelines.network_file import Adopted
from pipelines.one_line import one_line
from pipelines.provenance import note_facts, provenance
from pipelines.run_directory import RunDirectory
from rt_tf import data, models
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.reporting.formats import comparison_text
from rt_tf.serving.saved_model import network_checksum
from rt_tf.threats.region import Threat
from rt_tf.training.checkpoints import save_network


def adopt(
    run: RunDirectory,
    asked: flags.FlagValues,
    dataset: data.DataSet,
    threat: Threat,
    screen: Console,
) -> None:
    """Makes a run around the network of a given file, with its export.

    UserError, and nothing is written, if that network cannot be certified on the data set, or
    does not compute what the file does.
    """
    file = given_file(asked)
    assert file is not None
    path = file.path
    adopted = _kept(network_file.read(file))
    network = adopted.network
    wiring = trace(network, domain=dataset.domain)
    _check_fit(file, wiring.input_shape, wiring.classes, dataset)
    comparisons = [c._asdict() for c in compared(adopted, dataset)]
    given = {
        "file": path.name,
        "sha256": checksum(path),
        "input_range": asked.input_range,
        "notes": adopted.notes,
        "comparisons": comparisons,
    }
    said = [*adopted.notes, comparison_text(comparisons)]
    screen.print(f"{path.name}: {run.path}", *map(one_line, said), sep="\n  ")
    texts = given_texts(asked)
    run.freeze(texts)
    own = {"system": path.stem, "seed": None, "given": given, **_model(network)}
    note_facts(run, provenance(asked, texts, dataset) | own)
    save_network(network, run.network)
    publish.export_model(run, dataset, threat)
    run.finish("given")


def _kept(adopted: Adopted) -> Adopted:
    """With the network as the run's own file will give it back: that is what is asked about."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        save_network(adopted.network, path)
        return adopted._replace(network=keras.models.load_model(path))


def _check_fit(
    file: GivenFile, shape: tuple[int, ...], classes: int, dataset: data.DataSet
) -> None:
    """UserError unless a network takes the data set's images and tells its classes apart."""
    if shape != tuple(dataset.shape):
        raise UserError(
            f"{file.flag}: expected an input of shape {tuple(dataset.shape)}, as the images of "
            f"{dataset.name} have; received {shape} in {file.path}"
        )
    if classes != dataset.classes:
        raise UserError(
            f"{file.flag}: expected {dataset.classes} outputs, one for each class of "
            f"{dataset.name}; received {classes} in {file.path}"
        )


def _model(network: keras.Model) -> dict[str, object]:
    return {
        "network_sha256": network_checksum(network),
        "model": {
            "name": network.name,
            "parameters": network.count_params(),
            "hidden_units": models.hidden_units(network),
        },
    }
