"""Adoption: the making of a run around a network that was trained elsewhere."""

import tempfile
from pathlib import Path

import keras
import numpy as np
from absl import flags

from pipelines.flags.parsing import one_line
from pipelines.output import Terminal
from pipelines.runs import network_file
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import GivenFile, checksum, given_file, given_texts
from pipelines.runs.network_file import Adopted
from pipelines.runs.provenance import note_facts, provenance
from pipelines.stages import publish
from rt_tf import data, models, zoo
from rt_tf.errors import UserError
from rt_tf.interchange import probes
from rt_tf.interchange.parity import Comparer, Comparison, Original
from rt_tf.network.trace import trace
from rt_tf.reporting.formats import comparison_text
from rt_tf.serving.saved_model import network_checksum
from rt_tf.threats.region import Threat
from rt_tf.training.loop.checkpoints import save_network


def adopt(
    run: RunDirectory,
    run_values: flags.FlagValues,
    dataset: data.DataSet,
    threat: Threat,
    screen: Terminal,
) -> None:
    """Makes a run around the network of a file, with its export.

    UserError, and nothing is written, if that network cannot be certified on the data set, or does
    not compute what the file does.
    """
    file = given_file(run_values)
    assert file is not None
    path = file.path
    adopted = _read_back(network_file.read(file, run_values.network_output))
    network = adopted.network
    wiring = trace(network, domain=dataset.domain)
    _check_fit(file, wiring.input_shape, wiring.classes, dataset)
    comparisons = [c._asdict() for c in compared(adopted, dataset)]
    origin = {
        "file": path.name,
        "sha256": checksum(path),
        "input_range": run_values.input_range,
        "notes": adopted.notes,
        "comparisons": comparisons,
    }
    lines = [*dataset.notes, *adopted.notes, comparison_text(comparisons)]
    screen.print(f"{path.name}: {run.path}", *map(one_line, lines), sep="\n  ")
    texts = given_texts(run_values)
    run.freeze(texts)
    facts = {
        "system": zoo.name_of(path) or path.stem,
        "seed": None,
        "given": origin,
        **_model(network),
    }
    note_facts(run, provenance(run_values, texts, dataset) | facts)
    save_network(network, run.network)
    publish.export_model(run, dataset, threat)
    run.finish("given")


def _read_back(adopted: Adopted) -> Adopted:
    """The network as read back from a .keras file, as it is from the run's file to be evaluated."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        save_network(adopted.network, path)
        return adopted._replace(network=keras.models.load_model(path))


def _check_fit(
    file: GivenFile, shape: tuple[int, ...], classes: int, dataset: data.DataSet
) -> None:
    """Raises UserError unless a network takes the data set's images and has its classes."""
    if shape != tuple(dataset.shape):
        raise UserError(
            f"{file.flag}: expected an input of shape {tuple(dataset.shape)}, as the examples of "
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


DRAWN = 100  # number of random inputs, and of extreme ones
WHOLE = 1e-3  # the largest distance of images from whole numbers, for files that take those


def compared(adopted: Adopted, dataset: data.DataSet) -> list[Comparison]:
    """A network's differences from its file, on test images and on inputs from all of the domain.

    UserError where one is more than rounding.
    """
    original, test = adopted.original, dataset.test
    places = np.unique(np.linspace(0, len(test) - 1, original.most, dtype=np.int64))
    images = test.images(places)
    _refuse_between(original, images, dataset)
    domain, shape = probes.bounded(dataset.domain, images), tuple(dataset.shape)
    count = min(DRAWN, original.most // 10)
    comparer = Comparer(adopted.network, original)
    return [
        comparer.compare(images, "test images"),
        comparer.compare(original.nearest(probes.uniform(domain, shape, count)), "random inputs"),
        comparer.compare(original.nearest(probes.extreme(domain, shape, count)), "extreme inputs"),
    ]


def _refuse_between(original: Original, images: np.ndarray, dataset: data.DataSet) -> None:
    """Raises UserError for images that are no whole numbers, where a file's network takes those."""
    if dataset.test.pixel_max is None:
        return
    if np.abs(original.nearest(images) - images).max(initial=0.0) > WHOLE:
        raise UserError(
            f"{original.flag}: expected images in whole numbers, as {original.path} takes them; "
            f"those of {dataset.name} are in {dataset.domain}; "
            f"--input_range=0,{dataset.test.pixel_max} gives them to the network as such"
        )
