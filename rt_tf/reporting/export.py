"""The SavedModel: predictions and certificates for a service that has TensorFlow alone."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf import models
from rt_tf.bounds import cascade
from rt_tf.bounds.rounding import products_are_exact
from rt_tf.files import write_text
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat

EXTRA = "assets.extra"
CHECKSUM = "network.sha256"
PARITY = 1e-4
COEFFICIENTS = 2**28  # of bounds that are compared, at most
_NOT_COMPUTED = ("name", "dtype", "trainable", "_initializer", "_regularizer", "_constraint")


class ParityError(RuntimeError):
    """The SavedModel does not compute what the Keras model computes."""


def network_checksum(network: keras.Model) -> str:
    """SHA-256 over what a network computes: its layers, their settings and wiring, its weights."""
    digest = hashlib.sha256()
    for call in trace(network).calls:
        config = call.layer.get_config()
        settings = {k: v for k, v in config.items() if not k.endswith(_NOT_COMPUTED)}
        text = json.dumps([type(call.layer).__name__, settings, call.inputs], default=str)
        digest.update(text.encode())
    for weight in network.get_weights():
        digest.update(str(weight.shape).encode() + np.asarray(weight, "<f4").tobytes())
    return digest.hexdigest()


def export(network: keras.Model, threat: Threat, images: np.ndarray, path: Path) -> None:
    """Writes the SavedModel, checks it against the Keras model on `images`, then puts it in place.

    Endpoints: serve(image) -> logits, label; certify(image, epsilon) -> label, certified, margin,
    where the threat has a support function.
    Raises ParityError, and leaves what was there before, if the two disagree.
    """
    staged = path.with_name(f"partial-{path.name}")
    shutil.rmtree(staged, ignore_errors=True)
    archive = keras.export.ExportArchive()
    archive.track(network)
    image = tf.TensorSpec([None, *network.input_shape[1:]], tf.float32, name="image")
    epsilon = tf.TensorSpec([], tf.float32, name="epsilon")
    archive.add_endpoint("serve", _serve(network), input_signature=[image])
    if threat.has_support:
        archive.add_endpoint("certify", _certify(network, threat), [image, epsilon])
    archive.write_out(str(staged), verbose=False)
    _check_parity(network, threat, staged, images)
    write_text(staged / EXTRA / CHECKSUM, network_checksum(network) + "\n")
    replaced = path.with_name(f"replaced-{path.name}")
    shutil.rmtree(replaced, ignore_errors=True)
    if path.exists():
        path.replace(replaced)
    staged.replace(path)
    shutil.rmtree(replaced, ignore_errors=True)


def attach(path: Path, files: dict[str, str]) -> None:
    """Puts texts (report, model card) beside the SavedModel, with checksums of its files."""
    for name, text in files.items():
        write_text(path / EXTRA / name, text)
    write_text(path / EXTRA / "SHA256SUMS", _checksums(path))


def exported_checksum(path: Path) -> str | None:
    """The checksum of the network that a SavedModel was made of; None if there is no SavedModel."""
    file = path / EXTRA / CHECKSUM
    return file.read_text().strip() if file.exists() else None


def load(path: Path) -> Any:
    """The SavedModel as a service sees it."""
    return tf.saved_model.load(str(path))


def _serve(network: keras.Model) -> Any:
    """The network's answer; of a cascade, its first member's, which `certify` may not stand by."""
    first = models.members(network)[0]

    def serve(image: Tensor) -> dict[str, Tensor]:
        logits = first(image, training=False)
        return {"logits": logits, "label": tf.argmax(logits, axis=-1)}

    return serve


def _certify(network: keras.Model, threat: Threat) -> Any:
    """The certificate of the predicted class: no point of the region is answered otherwise."""

    @tf.autograph.experimental.do_not_convert
    def certify(image: Tensor, epsilon: Tensor) -> dict[str, Tensor]:
        label, margin = certified_answer(network, threat, image, epsilon)
        return {"label": label, "certified": margin > 0.0, "margin": margin}

    return certify


def certified_answer(
    network: keras.Model, threat: Threat, image: Tensor, epsilon: Tensor
) -> cascade.Answer:
    """The predicted class and its certificate's margin; of a cascade, see `bounds.cascade`."""
    members = models.members(network)
    labels = [tf.argmax(member(image, training=False), axis=-1) for member in members]
    margins = [
        certified_margin(trace(member), threat, image, labels[0], epsilon) for member in members
    ]
    return cascade.answer(labels, margins)


def certified_margin(
    wiring: Wiring, threat: Threat, image: Tensor, label: Tensor, epsilon: Tensor
) -> Tensor:
    """The better lower bound of the least margin, sound in arithmetic; -inf where not defined."""
    region = Region(threat, image, epsilon)
    margin = cascade.least_margin(wiring.lower(), region, label, wiring.classes, "sound")
    pixels = list(range(1, image.shape.rank))
    valid = tf.reduce_all((image >= region.lower) & (image <= region.upper), axis=pixels)
    valid &= (epsilon >= 0.0) & (epsilon <= threat.largest)
    valid &= products_are_exact(tf.cast(tf.size(image) > 0, tf.float32))
    return tf.where(valid, margin, -float("inf"))


def _check_parity(network: keras.Model, threat: Threat, path: Path, images: np.ndarray) -> None:
    served = load(path)
    logits = models.members(network)[0](images, training=False).numpy()
    answer = served.serve(images)
    _check_equal("logits", logits, answer["logits"].numpy())
    if not threat.has_support:
        return
    images = images[: _comparable(network, classes=logits.shape[1])]
    certificate = served.certify(images, tf.constant(0.01))
    ours = certified_answer(network, threat, tf.constant(images), tf.constant(0.01)).margin.numpy()
    _check_equal("certificates", ours, certificate["margin"].numpy())


def _comparable(network: keras.Model, classes: int) -> int:
    """On how many images two bounds are compared: as many as have room, one at least."""
    units = sum(models.hidden_units(member) for member in models.members(network))
    return max(1, COEFFICIENTS // (max(1, units) * classes))


def _check_equal(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Equal up to rounding where finite, and finite in the same places."""
    finite = np.isfinite(ours)
    if (finite != np.isfinite(theirs)).any():
        raise ParityError(f"SavedModel and Keras {what} differ in where they are finite")
    gap = np.abs(theirs[finite] - ours[finite]).max(initial=0.0)
    if gap > PARITY * np.abs(ours[finite]).max(initial=1.0):
        raise ParityError(f"SavedModel and Keras {what} differ by {gap:g}")


def _checksums(path: Path) -> str:
    """As `sha256sum` writes and checks them, from inside the SavedModel's directory."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and EXTRA not in p.parts)
    sums = [hashlib.sha256(p.read_bytes()).hexdigest() for p in files]
    rows = zip(sums, files, strict=True)
    return "".join(f"{checksum}  {p.relative_to(path)}\n" for checksum, p in rows)
