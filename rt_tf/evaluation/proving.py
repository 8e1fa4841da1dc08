"""The proofs of a run's certificates, gathered into files for an independent checker."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from rt_tf import models
from rt_tf.checker.malformed import MalformedError
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.folders import rewritten
from rt_tf.proofs import network_file, store
from rt_tf.proofs.certificates import Certified, Statement, write_proofs
from rt_tf.records import parts
from rt_tf.records.record_file import Row, read, read_lines

Originals = Callable[[Sequence[int]], np.ndarray]
NETWORK = "network.npz"
WEAKER = {"probable": "high-probability", "trusted": "solver-trusted"}


def write(network: keras.Model, records: Path, export: Path, originals: Originals) -> Path:
    """Writes network.npz and each question's proofs.npz beside the records; returns the folder.

    export: a folder for a copy of network.npz. originals: the test images of indices. Certificates
    that the checker cannot check are listed with the reason. Raises Inconsistent, and leaves what
    was there before, if a stored proof cannot be read.
    """
    folder = records.with_name("proofs")
    with rewritten(folder, "proofs", (NETWORK, "*/proofs.npz")) as staged:
        sha256, why = _network(network, staged / NETWORK)
        for question in sorted({path.parent for path in records.glob("*/certify*.jsonl")}):
            header, _ = read(parts.certificate_files(question)[0])
            rows = read_lines(question / "examples.jsonl")
            write_proofs(
                staged / question.name / "proofs.npz",
                sha256,
                _statement(header),
                network.output_shape[-1],
                _certificates(question, rows, originals, why),
            )
    if why is None:
        write_bytes(export / NETWORK, (folder / NETWORK).read_bytes())
    return folder


def _statement(header: Row) -> Statement:
    """The statement that the certificates of a question make. header: of their records."""
    domain = Domain.from_config(header.get("domain", UNIT.config()))
    scale = header.get("threat_settings", {}).get("scale")
    return Statement(header["threat"], header["eps"], domain, scale)


def _network(network: keras.Model, path: Path) -> tuple[str, str | None]:
    """Writes network.npz; returns its checksum, or an empty text and why it cannot be written."""
    members = models.members(network)
    if len(members) > 1:
        return "", "a cascade of networks"
    try:
        sha256 = network_file.write_network(path, members[0])
    except (UserError, MalformedError) as error:
        return "", str(error).removeprefix("proofs: ")
    return sha256, None


def _certificates(
    folder: Path, rows: list[Row], originals: Originals, why: str | None
) -> Iterator[Certified]:
    """Yields the certificates of merged rows, those in a weaker sense included.

    why: why the network has no file, by which no certificate can be checked; None where it has one.
    """
    for row in rows:
        certificate = _certificate_of(row)
        if certificate is None:
            continue
        rung, weaker = certificate
        is_stored = row["proof"] and not weaker
        proof = store.load(folder / row["proof"]) if is_stored else None
        image = originals([row["index"]])[0]
        yield Certified(row["index"], row["label"], image, rung, proof, why or weaker)


def _certificate_of(row: Row) -> tuple[str, str | None] | None:
    """The rung of a row's certificate, and in what sense it is no proof; None without one."""
    if row["verdict"] == "certified":
        return row["rung"], None
    weak = [(name, WEAKER.get(rung["verdict"])) for name, rung in row["rungs"].items()]
    return next(((name, why) for name, why in weak if why), None)
