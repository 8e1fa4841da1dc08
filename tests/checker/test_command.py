"""`python -m pipelines.check`: what it prints, how it ends, and that it needs no TensorFlow."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import networks
import numpy as np
import pytest
from absl import flags
from kept_proofs import CLASSES, Question, question, tree_proof

from pipelines import check, progress
from pipelines.stages import checking
from rt_tf.checker import network, verdict
from rt_tf.errors import UserError
from rt_tf.proofs.certificates import Certified, Statement, write_proofs
from rt_tf.proofs.network_file import write_network

ROOT = Path(__file__).parents[2]
NAME = "conv_strided"
PROGRAM = """
import sys
from pipelines import check
try:
    check.main()
finally:
    heavy = {"tensorflow", "keras", "scipy"} & set(sys.modules)
    print("heavy:", sorted(heavy))
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def written(folder: Path, q: Question, certificates: list[Certified]) -> str:
    sha256 = write_network(folder / "network.npz", networks.known(NAME)[0])
    path = folder / q.threat / "proofs.npz"
    write_proofs(path, sha256, Statement(q.threat, q.eps), CLASSES, certificates)
    return sha256


@pytest.fixture(scope="module")
def q() -> Question:
    return question(NAME, eps=0.001)


@pytest.fixture
def certificates(q) -> list[Certified]:
    proof, margins = tree_proof(q, 1, splits=2, steps=2)
    assert margins.min() > 0.0
    kept = [q.certified(0, "interval"), q.certified(1, "branch_and_bound", proof)]
    trusted = Certified(7, 0, q.images[2], "milp", None, "solver-trusted")
    return [*kept, trusted]


def test_certificates_are_counted_by_rung(tmp_path, q, certificates):
    sha256 = written(tmp_path, q, certificates)
    done = run(f"--proofs={tmp_path}")
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    counts = {name.strip(): [int(n) for n in numbers] for name, *numbers in rows}
    assert counts == {"interval": [1, 0, 0], "branch_and_bound": [1, 0, 0], "milp": [0, 0, 1]}
    assert "unchecked: 1 of milp: solver-trusted" in done.stdout
    assert f"network sha256 {sha256}" in done.stdout
    assert "linf eps 0.001, inputs in [0, 1]" in done.stdout
    assert "heavy: []" in done.stdout


def test_a_rejection_has_a_line_and_an_exit_status(tmp_path, q, certificates):
    wrong = dataclasses.replace(
        certificates[0], index=12, label=(certificates[0].label + 1) % CLASSES
    )
    written(tmp_path, q, [*certificates, wrong])
    done = run(f"--proofs={tmp_path / 'linf' / 'proofs.npz'}")
    assert done.returncode == 1
    assert "rejected: example 12 (interval): the bound of the least margin is -" in done.stdout
    assert run(f"--proofs={tmp_path}", "--samples=2").returncode == 0


def test_proofs_of_another_network_end_with_a_line(tmp_path, q, certificates):
    written(tmp_path, q, certificates)
    write_network(tmp_path / "other.npz", networks.build(NAME, seed=4))
    done = run(f"--proofs={tmp_path}", f"--network={tmp_path / 'other.npz'}")
    assert done.returncode == 2
    assert "expected the network of sha256" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected --proofs="),
        (["--proofs=nowhere"], "received 'nowhere'"),
        (["--proofs=x", "--samples=-1"], "expected a whole number >= 0"),
    ],
)
def test_a_wrong_command_ends_with_a_line(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_cannot_be_checked_is_listed_and_not_lost(q, certificates):
    unknown = q.certified(2, "alpha_crown")
    arrays = q.proofs([*certificates, unknown])
    assert arrays["images"].shape == (2, *q.images.shape[1:])
    assert "no proof kept by alpha_crown" in str(arrays["header"])
    other = q._replace(threat="wasserstein").proofs(certificates)
    assert other["images"].size == 0
    assert str(other["header"]).count("no support function of wasserstein") == 2


def test_the_same_network_has_the_same_checksum(tmp_path):
    first, again = (write_network(tmp_path / "n.npz", networks.build(NAME)) for _ in range(2))
    assert first == again
    assert first != write_network(tmp_path / "n.npz", networks.build(NAME, seed=1))
    assert np.load(tmp_path / "n.npz")["1.kernel"].dtype == np.float32


def checked(*arguments: str) -> int:
    """The status of a check in this process."""
    values = flags.FlagValues()
    check.check_group(values)
    values(["check", *arguments])
    return checking.check_files(values)


def test_what_is_kept_is_not_checked_again(tmp_path, q, certificates, monkeypatch, capsys) -> None:
    """After an interruption in the second certificate, and half a line of it."""
    wrong = dataclasses.replace(
        certificates[0], index=12, label=(certificates[0].label + 1) % CLASSES
    )
    written(tmp_path, q, [wrong, *certificates])
    arguments, kept = [f"--proofs={tmp_path}", f"--results={tmp_path / 'r'}"], tmp_path / "r"
    calls = []

    def interrupted(network, proofs, certificate):
        calls.append(certificate.index)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judged(network, proofs, certificate)

    judged = verdict.check
    monkeypatch.setattr(checking, "check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checked(*arguments)
    assert "interval" in capsys.readouterr().out  # the table of what is done
    with kept.open("a") as file:
        file.write('{"proofs": "ab')
    assert checked(*arguments) == 1
    assert calls == [12, 0, 0, 1]
    assert (
        "rejected: example 12 (interval): the bound of the least margin is -"
        in capsys.readouterr().out
    )
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(row["example"], row["holds"]) for row in rows] == [(12, False), (0, True), (1, True)]
    assert checked(*arguments) == 1
    assert calls == [12, 0, 0, 1]
    kept.write_text(kept.read_text().replace('"holds": true', '"holds": 1'))
    with pytest.raises(UserError, match=r"results: expected the fields proofs, .*received line 2"):
        checked(*arguments)


def test_a_network_is_loaded_once_and_progress_has_lines(
    tmp_path, q, certificates, monkeypatch, capsys
) -> None:
    """For proofs of two threats under one folder."""
    for threat in ("linf", "l2"):
        written(tmp_path, q._replace(threat=threat), certificates[:1])
    loaded = []
    load = network.load
    monkeypatch.setattr(network, "load", lambda path: loaded.append(path) or load(path))
    monkeypatch.setattr(progress, "EVERY", 0.0)
    checked(f"--proofs={tmp_path}")
    assert len(loaded) == 1
    assert capsys.readouterr().out.count("check: 1 of 1; ") == 2
