"""Repair of a run's network after damage to its file, from the export."""

import contextlib
import struct
import zipfile
from pathlib import Path

import keras

from pipelines.console import terminal
from pipelines.runs.directory import RunDirectory
from rt_tf import layers  # noqa: F401 - Keras reads its classes by name
from rt_tf.errors import UserError
from rt_tf.files import NUMPY_DAMAGE
from rt_tf.serving import saved_model
from rt_tf.training.loop.checkpoints import save_network

# Errors of reading an archive of which a bit has changed.
_CORRUPT = (*NUMPY_DAMAGE, struct.error)


def load_network(run: RunDirectory) -> keras.Model:
    """A run's network; where its file is damaged, it is restored from the export, and written.

    UserError where it cannot be restored.
    """
    damage = _damage(run.network)
    if damage is None:
        return _loaded(run.network)
    network = _from_export(run) if run.network.exists() else None
    if network is None:
        raise UserError(
            f"model_dir: expected a readable network; {run.network} is not ({damage}), nor can it "
            f"be made again from {run.export}"
        )
    save_network(network, run.network)
    line = f"{run.network} was damaged ({damage}): made again from {run.export}"
    terminal(soft_wrap=True).print(line)
    return network


def _loaded(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"model_dir: expected a readable network; {path} is not: {error}"
        ) from error


def _damage(path: Path) -> str | None:
    """The damage of a .keras file, whose parts have checksums; None if there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            names = set(archive.namelist())
    except _CORRUPT as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:120]
    if not {"config.json", "model.weights.h5"} <= names:
        return "a part is missing"
    return bad and f"{bad} is not as it was written"


def _from_export(run: RunDirectory) -> keras.Model | None:
    """The network as its file describes it, with the export's weights; None if they differ."""
    with contextlib.suppress(*_CORRUPT):
        with zipfile.ZipFile(run.network) as archive:
            network = keras.models.model_from_json(archive.read("config.json").decode())
        stored = saved_model.load(run.export).variables
        network.set_weights([variable.numpy() for variable in stored])
        if saved_model.network_checksum(network) == saved_model.exported_checksum(run.export):
            return network
    return None
