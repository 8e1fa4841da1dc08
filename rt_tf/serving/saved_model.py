"""The SavedModel: predictions and certificates for a service that has TensorFlow alone."""

import contextlib
import hashlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf import models
from rt_tf.command_line import called
from rt_tf.domain import UNIT, Given
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.folders import rewritten
from rt_tf.network.trace import trace
from rt_tf.serving import warm_up
from rt_tf.serving.endpoints import Endpoint, endpoints, signatures
from rt_tf.threats.region import Threat

EXTRA = "assets.extra"
VERSIONS = "served"  # the folder of a run's numbered versions
DEFAULT = "serving_default"  # the signature of requests that name none: `serve` again
BLESSED, NOT_BLESSED = "BLESSED", "NOT_BLESSED"  # the files of `reporting.blessing`
CHECKSUM, SUMS = "network.sha256", "SHA256SUMS"
EXPORTED = (f"{EXTRA}/{CHECKSUM}", f"{EXTRA}/{SUMS}")  # a folder with either is an export
PARITY = 1e-4  # the largest relative difference of outputs
COEFFICIENTS = 2**28  # of the bounds that are compared, at most
_NOT_COMPUTED = ("name", "dtype", "trainable", "_initializer", "_regularizer", "_constraint")


class ParityError(RuntimeError):
    """The SavedModel does not compute the Keras model's function."""


def network_checksum(network: keras.Model) -> str:
    """SHA-256 of a network's function: its layers, their settings and wiring, its weights."""
    digest = hashlib.sha256()
    for call in trace(network).calls:
        config = call.layer.get_config()
        settings = {k: v for k, v in config.items() if not k.endswith(_NOT_COMPUTED)}
        text = json.dumps([type(call.layer).__name__, settings, call.inputs], default=str)
        digest.update(text.encode())
    for weight in network.get_weights():
        digest.update(str(weight.shape).encode() + np.asarray(weight, "<f4").tobytes())
    return digest.hexdigest()


def export(
    network: keras.Model,
    threat: Threat,
    images: np.ndarray,
    path: str | Path,
    domain: Given = UNIT,
) -> None:
    """Writes the SavedModel, checks it against the Keras model on `images`, then puts it in place.

    With it stand requests of the first image by which TensorFlow Serving warms up. images:
    [batch, ...]. domain: of the endpoints' inputs; see `serving.endpoints`. Raises
    ParityError, and leaves what was there before, if the two disagree; UserError, and touches
    nothing, where `path` holds anything but an earlier export, or for a network in another
    precision than float32.
    """
    table, images = endpoints(network, threat, domain), np.asarray(images, np.float32)
    with rewritten(path, "export", EXPORTED) as staged:
        _write(network, table, staged)
        served = load(staged)
        _check_parity(table, served, images, few=_comparable(network))
        _check_answers(models.members(network)[0], served, images)
        (staged / EXTRA).mkdir()
        warm_up.write(staged / EXTRA / warm_up.FILE, _warm_up_requests(table, images[:1]))
        write_text(staged / EXTRA / CHECKSUM, network_checksum(network) + "\n")
        write_text(staged / EXTRA / SUMS, _checksums(staged))


def attach(path: str | Path, files: dict[str, str]) -> None:
    """Puts texts (report, model card) by file name beside the SavedModel; checksums cover them.

    UserError, and nothing is written, if the SavedModel's files are not those that were exported.
    """
    refuse_damaged(path)
    for name, text in files.items():
        write_text(Path(path) / EXTRA / name, text)
    write_text(Path(path) / EXTRA / SUMS, _checksums(Path(path)))


def exported_checksum(path: str | Path) -> str | None:
    """The checksum of the network in a SavedModel; None if there is no SavedModel."""
    file = Path(path) / EXTRA / CHECKSUM
    return file.read_text().strip() if file.exists() else None


def damage(path: str | Path) -> str | None:
    """The first file of a SavedModel that differs from its checksum; None if all agree.

    That may be the file of the checksums, where it lacks one of the files that a SavedModel is read
    from. A verdict beside it (`reporting.blessing`) comes later, and is no part of it.
    """
    path = Path(path)
    if not any((path / mark).exists() for mark in EXPORTED):
        return None
    stated = _stated(path / EXTRA / SUMS)
    for name, checksum in stated.items():
        whole = (path / name).is_file() and _sha256(path / name) == checksum
        if not whole and name not in (BLESSED, NOT_BLESSED):
            return name or f"{EXTRA}/{SUMS}"
    read = {name for name in _own_files(path) if name.startswith(("saved_model", "variables"))}
    return None if stated and read <= stated.keys() else f"{EXTRA}/{SUMS}"


def refuse_damaged(path: str | Path) -> None:
    """Raises UserError for a SavedModel whose files are not those that were exported."""
    name = damage(path)
    if name is not None:
        raise UserError(
            f"export: expected {path} as it was exported; {name} is damaged; "
            f"{called('export')} {_flags_of(Path(path))} writes it anew"
        )


def _flags_of(path: Path) -> str:
    """The flags of the command that wrote an export, or a version of it, in a run's folder."""
    run, version = path.parent, ""
    if run.name == VERSIONS:
        run, version = run.parent, f" --export_version={path.name}"
    return f"--model_dir={shlex.quote(str(run))}{version}"


def load(path: str | Path) -> Any:
    """The SavedModel as a service loads it; UserError if its files are not those exported."""
    refuse_damaged(path)
    return tf.saved_model.load(str(path))


def _write(network: keras.Model, table: dict[str, Endpoint], path: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(network)
    for name, signature in signatures(table, network.input_shape[1:]).items():
        archive.add_endpoint(name, table[name].compute, input_signature=signature)
    archive.write_out(str(path), verbose=False)


def _warm_up_requests(
    table: dict[str, Endpoint], image: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """The inputs of a request to each signature, by name. image: [1, ...]."""
    requests = {
        name: {"image": image}
        if endpoint.probe is None
        else {"image": image, "epsilon": np.array([endpoint.probe], np.float32)}
        for name, endpoint in table.items()
    }
    return {DEFAULT: requests["serve"], **requests}


def _check_parity(table: dict[str, Endpoint], served: Any, images: np.ndarray, few: int) -> None:
    """Compares each endpoint with its computation here. few: images that bounds have memory for.

    Endpoints that are not compared compiled run operation by operation, so that what compilation
    changes shows.
    """
    for name, endpoint in table.items():
        arguments = [tf.constant(images)]
        if endpoint.probe is not None:
            arguments = [tf.constant(images[:few]), tf.constant(endpoint.probe)]
        with _eagerly(not endpoint.compiled):
            ours = endpoint.compute(*arguments)[endpoint.compared].numpy()
        theirs = getattr(served, name)(*arguments)[endpoint.compared].numpy()
        _check_equal(f"{name} {endpoint.compared}", ours, theirs, endpoint.resolution)


def _check_answers(member: keras.Model, served: Any, images: np.ndarray) -> None:
    """Compares the served logits, with a final softmax if any, with the Keras model's outputs."""
    theirs = served.serve(tf.constant(images))["logits"]
    if trace(member).notes:  # of the softmax, which is left out of what is served
        theirs = tf.nn.softmax(theirs)
    _check_equal("answers", np.asarray(member(images, training=False)), theirs.numpy())


@contextlib.contextmanager
def _eagerly(switch: bool) -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(switch)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _comparable(network: keras.Model) -> int:
    """The number of images whose bounds are compared: as many as have room, one at least."""
    members = models.members(network)
    units = sum(models.hidden_units(member) for member in members)
    return max(1, COEFFICIENTS // (max(1, units) * members[0].output_shape[-1]))


def _check_equal(what: str, ours: np.ndarray, theirs: np.ndarray, slack: float = 0.0) -> None:
    """Requires outputs that are finite in the same places, and equal there up to slack."""
    finite = np.isfinite(ours)
    if (finite != np.isfinite(theirs)).any():
        raise ParityError(f"SavedModel and Keras {what} differ in where they are finite")
    gap = np.abs(theirs[finite] - ours[finite]).max(initial=0.0)
    if gap > PARITY * np.abs(ours[finite]).max(initial=1.0) + slack:
        raise ParityError(f"SavedModel and Keras {what} differ by {gap:g}")


def _checksums(path: Path) -> str:
    """The lines that `sha256sum` writes and checks, from inside the SavedModel's directory."""
    return "".join(f"{_sha256(path / name)}  {name}\n" for name in _own_files(path))


def _own_files(path: Path) -> list[str]:
    """The names of a SavedModel's files in its directory, without files beside it."""
    names = (p.relative_to(path) for p in path.rglob("*") if p.is_file())
    return sorted(str(name) for name in names if EXTRA not in name.parts)


def _stated(file: Path) -> dict[str, str]:
    """The checksums in a file, by name; none where there is no such file."""
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
