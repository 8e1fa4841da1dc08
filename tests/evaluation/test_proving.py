"""The proofs of a run are gathered whole, or stay as they are."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import keras
import numpy as np
import pytest

from pipelines.runs.directory import RunDirectory
from pipelines.stages import publish
from rt_tf.certification.proof import CROWN, Proof, unsplit
from rt_tf.errors import UserError
from rt_tf.evaluation import proving
from rt_tf.files import write_bytes
from rt_tf.proofs import store
from rt_tf.records.consistency import Inconsistent
from rt_tf.records.merge import RecordFile, merge
from tests.reporting.synthetic import CLASSES, SHAPE, certify_row, header, originals, write_run

INDEX = 7


class Proved(NamedTuple):
    """A run of one certificate, and where its proof is kept."""

    network: keras.Model
    run: RunDirectory
    kept: Path

    def write(self) -> Path:
        return proving.write(self.network, self.run.records, self.run.export, originals)


@pytest.fixture
def proved(tmp_path: Path) -> Proved:
    question = write_run(tmp_path / "run") / "records" / "linf-0.05"
    proof = Proof(CROWN, np.zeros((0, 2), np.int32), {0: unsplit(np.zeros(0, np.float16))})
    kept = store.keep(question, INDEX, proof)
    row = certify_row(INDEX, "certified", proof=kept)
    RecordFile(question / "certify.jsonl", header("certify", 0.05)).append([row])
    merge(question)
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    return Proved(keras.Sequential(layers), RunDirectory(tmp_path / "run"), question / kept)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def test_proofs_are_gathered_and_replace_those_before(proved: Proved) -> None:
    write_bytes(proved.run.path / "proofs" / "linf-0.07" / "proofs.npz", b"")
    folder = proved.write()
    assert content(folder).keys() == {"network.npz", "linf-0.05/proofs.npz"}
    assert not (folder / "linf-0.07").exists()
    network = (folder / "network.npz").read_bytes()
    assert (proved.run.export / "network.npz").read_bytes() == network


def test_a_damaged_proof_is_named_and_nothing_is_lost(proved: Proved) -> None:
    before = content(proved.write())
    cut(proved.kept)
    with pytest.raises(Inconsistent, match=f"{proved.kept}: expected a stored proof"):
        proved.write()
    assert content(proved.run.path / "proofs") == before
    assert not list(proved.run.path.glob(".*"))


def test_a_folder_of_other_things_is_left_alone(proved: Proved) -> None:
    mine = write_bytes(proved.run.path / "proofs" / "theorem.tex", b"mine")
    with pytest.raises(UserError, match="proofs: expected a new folder.*holds theorem.tex"):
        proved.write()
    assert mine.read_bytes() == b"mine"


def test_a_report_on_a_damaged_proof_is_refused_in_words(
    proved: Proved, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(proved.kept)
    monkeypatch.setattr(publish, "load_network", lambda run: proved.network)
    dataset = SimpleNamespace(test=SimpleNamespace(images=originals))
    with pytest.raises(UserError, match=rf"records: expected undamaged ones.*{INDEX:05d}\.npz"):
        publish.report(proved.run, dataset)
