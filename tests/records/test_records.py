"""Merging: the verdict table, and every contradiction refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rt_tf.errors import UserError
from rt_tf.records import parts
from rt_tf.records.merge import Inconsistent, RecordFile, load, merge
from rt_tf.records.record_file import line, read_lines
from rt_tf.reporting.counterexamples import keep
from tests.reporting.synthetic import NETWORK, attack_row, certify_row, header

ATTACKED = "adversarial/00005-pgd-40x2.npy"  # example 5 is right when clean, example 0 is not


def question(
    root: Path, certify=None, attack=None, eps: float = 0.05, attack_header: Any = None
) -> Path:
    folder = root / "records" / f"linf-{eps:g}"
    (folder / "adversarial").mkdir(parents=True)
    (folder / ATTACKED).write_bytes(b"")
    if certify:
        RecordFile(folder / "certify.jsonl", header("certify", eps)).append([certify])
    if attack:
        full_header = {**header("attack", eps, "pgd-40x2"), **(attack_header or {})}
        RecordFile(folder / "attack-pgd-40x2.jsonl", full_header).append([attack])
    return folder


C, U, F = "certified", "unknown", "falsified"
VERDICTS = [
    # index, certificate, attack succeeded, its file -> verdict, cause
    (5, C, None, None, C, None),
    (5, C, False, None, C, None),
    (5, U, None, None, U, "loose"),
    (5, U, False, None, U, "loose"),
    (5, U, True, ATTACKED, F, "attack"),
    (5, None, True, ATTACKED, F, "attack"),
    (5, None, False, None, U, "not_asked"),
    (0, F, None, None, F, "misclassified"),
    (0, F, True, None, F, "misclassified"),
    (0, None, True, None, F, "misclassified"),
]


@pytest.mark.parametrize(("index", "certificate", "success", "file", "verdict", "cause"), VERDICTS)
def test_merged_verdict(tmp_path, index, certificate, success, file, verdict, cause):
    certify = certify_row(index, certificate) if certificate else None
    attack = attack_row(index, success, file) if success is not None else None
    folder = question(tmp_path, certify, attack)
    [row] = merge(folder)
    assert (row["verdict"], row["cause"], row["correct"]) == (verdict, cause, index == 5)
    assert (row["certificate"] or {}).get("verdict") == certificate
    assert [a["success"] for a in row["attacks"].values()] == ([success] if attack else [])
    assert read_lines(folder / "examples.jsonl") == [row]


def test_merged_line_keeps_the_evidence(tmp_path):
    certify = certify_row(5, U)
    [row] = merge(question(tmp_path, certify, attack_row(5, True, ATTACKED)))
    assert row["rungs"] == certify["rungs"]
    assert (row["margin"], row["seconds"], row["rung"]) == (certify["margin"], 0.004, None)
    evidence = {"success": True, "prediction": 0, "file": ATTACKED, "distance": 0.01}
    assert row["attacks"] == {"pgd-40x2": {**evidence, "seconds": 0.01}}


OTHER = {"verdict": "unknown", "margin": 0.1, "seconds": 0.0}
CONTRADICTIONS = {
    "certified and falsified": (certify_row(5, C), attack_row(5, True, ATTACKED), None),
    "certified but misclassified": (certify_row(0, C), None, None),
    "counted as withstanding the attack": (None, attack_row(0, False, None), None),
    "without a stored counterexample": (None, attack_row(5, True, None), None),
    "missing.npy is missing": (None, attack_row(5, True, "adversarial/missing.npy"), None),
    "received 0.0500001": (None, attack_row(5, True, ATTACKED, distance=0.0500001), None),
    "received -0.01": (None, attack_row(5, True, ATTACKED, distance=-0.01), None),
    "received None": (None, attack_row(5, True, ATTACKED, distance=None), None),
    "of no stored counterexample": (None, attack_row(5, False, None, distance=0.01), None),
    "settings: expected attack, restarts": (
        None,
        attack_row(5, False, None),
        {"settings": {"steps": 40}},
    ),
    "classified as its label": (
        None,
        attack_row(5, True, ATTACKED, adversarial_prediction=2),
        None,
    ),
    "label is": (certify_row(5, U), attack_row(5, False, None, label=1, prediction=1), None),
    "image is": (certify_row(5, U), attack_row(5, False, None, image="0" * 15 + "1"), None),
    "prediction is": (certify_row(5, U), attack_row(5, True, None, prediction=0), None),
    "margin 0": (certify_row(5, C, margin=0), None, None),
    "margin None": (certify_row(5, C, margin=None), None, None),
    "whose verdict is not certified": (certify_row(5, C, rungs={"crown_ibp": OTHER}), None, None),
    "none of": ({**certify_row(5, U), "verdict": "maybe"}, None, None),
    "without a cause": (certify_row(5, U, cause=None), None, None),
    "predicted as its label, yet with cause": (
        certify_row(5, U, cause="misclassified"),
        None,
        None,
    ),
    "network_sha256 is": (
        certify_row(5, U),
        attack_row(5, False, None),
        {"network_sha256": "ef" * 32},
    ),
    "domain is": (
        certify_row(5, U),
        attack_row(5, False, None),
        {"domain": {"lower": 0.4, "upper": 0.6}},
    ),
    "eps is": (certify_row(5, U), attack_row(5, False, None), {"eps": 0.06}),
    "split is": (certify_row(5, U), attack_row(5, False, None), {"split": "train"}),
}


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_contradictions_are_refused(tmp_path, message):
    certify, attack, attack_header = CONTRADICTIONS[message]
    folder = question(tmp_path, certify, attack, attack_header=attack_header)
    with pytest.raises(Inconsistent, match=message):
        merge(folder)
    assert not (folder / "examples.jsonl").exists()


@pytest.mark.parametrize("field", ["verdict", "rungs", "cause", "image", "seconds"])
def test_a_line_that_lacks_a_field_is_refused(tmp_path, field):
    row = {key: value for key, value in certify_row(5, C).items() if key != field}
    with pytest.raises(
        Inconsistent, match=rf"certify, line 2: expected {field}; the line has none"
    ):
        merge(question(tmp_path, row))


def reworded(path: Path, old: str, new: str) -> None:
    """Other lines, with checksums of their own: written so, not damaged."""
    texts = [json.dumps(row).replace(old, new) for row in read_lines(path)]
    path.write_bytes(b"".join(line(json.loads(text)) for text in texts))


def test_a_header_that_lacks_a_field_is_refused(tmp_path):
    folder = question(tmp_path, certify_row(5, C))
    reworded(folder / "certify.jsonl", '"split"', '"splat"')
    with pytest.raises(Inconsistent, match="header: expected split"):
        merge(folder)


def test_a_duplicated_line_is_refused(tmp_path):
    folder = question(tmp_path, certify_row(5, C))
    path = folder / "certify.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(Inconsistent, match="twice"):
        merge(folder)


def parted(tmp_path, *rows):
    """A question whose certificates are of parts: a line for each."""
    folder = question(tmp_path)
    for k, row in enumerate(rows):
        RecordFile(folder / f"certify-{k}of9.jsonl", header("certify", 0.05)).append([row])
    return folder


def test_of_parts_that_tell_of_one_example_an_answer_counts(tmp_path):
    early, late = (certify_row(5, U, cause="time", time_limit=limit) for limit in (1.0, 9.0))
    [row] = merge(parted(tmp_path, early, certify_row(5, C), late))
    assert row["verdict"] == C
    assert [r["time_limit"] for r in parts.union([[early], [late]])] == [9.0]
    assert [r["time_limit"] for r in parts.union([[late], [early]])] == [9.0]


def test_parts_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(Inconsistent, match="example 5: parts have different verdicts"):
        merge(parted(tmp_path, certify_row(5, C), certify_row(5, F)))


def test_a_part_asks_once_more_what_is_to_be_asked_again(tmp_path):
    folder = parted(tmp_path, certify_row(5, C), certify_row(6, U), certify_row(7, U))
    files = sorted(folder.glob("certify-*"))
    done = parts.done_elsewhere(
        header("certify", 0.05), files, folder / "certify.jsonl", lambda row: row["index"] == 6
    )
    assert done == {5, 7}


def test_a_renamed_directory_is_refused(tmp_path):
    folder = question(tmp_path, certify_row(5, C))
    renamed = folder.rename(folder.with_name("linf-0.5"))
    with pytest.raises(Inconsistent, match=r"linf-0\.5: its records are of linf-0\.05"):
        merge(renamed)


def test_an_empty_question_is_the_users(tmp_path):
    (tmp_path / "linf-0.1").mkdir()
    with pytest.raises(UserError, match="there is neither"):
        merge(tmp_path / "linf-0.1")


def test_certified_at_a_radius_and_falsified_within_it(tmp_path):
    question(tmp_path, certify_row(5, C), eps=0.1)
    question(tmp_path, attack=attack_row(5, True, ATTACKED), eps=0.05)
    with pytest.raises(Inconsistent, match=r"certified at linf eps 0\.1, falsified at 0\.05"):
        load(tmp_path / "records")


def test_certified_at_a_radius_and_falsified_outside_it(tmp_path):
    question(tmp_path, certify_row(5, C), eps=0.05)
    question(tmp_path, attack=attack_row(5, True, ATTACKED, distance=0.050001), eps=0.1)
    assert [q.name for q in load(tmp_path / "records")] == ["linf-0.05", "linf-0.1"]


def test_certified_at_a_radius_and_falsified_outside_it_by_a_smaller_change(tmp_path):
    question(tmp_path, certify_row(5, C), eps=0.05)
    question(tmp_path, attack=attack_row(5, True, ATTACKED, distance=0.05), eps=0.1)
    with pytest.raises(Inconsistent, match=r"eps 0\.05, falsified at 0\.1 by a change of 0\.05"):
        load(tmp_path / "records")


def test_the_nearest_of_several_counterexamples_counts(tmp_path):
    question(tmp_path, certify_row(5, C), eps=0.05)
    far = {"rung": "attack", "file": ATTACKED, "distance": 0.09, "prediction": 1}
    certify = certify_row(5, F, cause="attack", counterexample=far)
    near = attack_row(5, True, ATTACKED, distance=0.04)
    question(tmp_path, certify, eps=0.1, attack=near)
    with pytest.raises(Inconsistent, match=r"eps 0\.05, falsified at 0\.1 by a change of 0\.04"):
        load(tmp_path / "records")


@pytest.mark.parametrize("kind", ["attack", "certify"])
def test_a_counterexample_that_is_not_what_was_stored_is_refused(tmp_path, kind):
    folder = tmp_path / "records" / "linf-0.05"
    sha256 = keep(folder, ATTACKED, np.arange(4.0, dtype=np.float32))
    stored = {"file": ATTACKED, "sha256": sha256, "distance": 0.01}
    if kind == "attack":
        table = RecordFile(folder / "attack-pgd-40x2.jsonl", header("attack", 0.05, "pgd-40x2"))
        table.append([attack_row(5, True, ATTACKED, sha256=sha256)])
    else:
        changed = {**stored, "rung": "interval", "prediction": 0}
        table = RecordFile(folder / "certify.jsonl", header("certify", 0.05))
        table.append([certify_row(5, F, cause="attack", counterexample=changed)])
    assert merge(folder)[0]["verdict"] == F
    np.testing.assert_array_equal(np.load(folder / ATTACKED), np.arange(4.0))
    data = (folder / ATTACKED).read_bytes()
    for place in (0, len(data) // 2, len(data) - 1):
        (folder / ATTACKED).write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(Inconsistent, match=f"example 5.*: {ATTACKED} is damaged"):
            merge(folder)


@pytest.mark.parametrize("distance", [0.011, 0.05, 0.0999, 0.1])
@pytest.mark.parametrize("found_at", [0.2, 0.01])
def test_the_largest_certified_radius_counts(tmp_path, distance, found_at):
    """Whatever was certified below it, and at whichever radius a counterexample was found."""
    for eps in (0.02, 0.1, 0.05):
        question(tmp_path, certify_row(5, C), eps=eps)
    near = min(distance, found_at)
    question(tmp_path, attack=attack_row(5, True, ATTACKED, distance=near), eps=found_at)
    with pytest.raises(Inconsistent, match=r"example 5: certified at linf eps 0\.1, falsified at"):
        load(tmp_path / "records")


@pytest.mark.parametrize("index", [5, 6])
def test_a_counterexample_beyond_every_certified_radius_is_none_to_them(tmp_path, index):
    """Of another example, or farther than the largest radius."""
    for eps in (0.02, 0.1, 0.05):
        question(tmp_path, certify_row(5, C), eps=eps)
    far = 0.1000001 if index == 5 else 0.01
    question(tmp_path, attack=attack_row(index, True, ATTACKED, distance=far), eps=0.2)
    assert [q.eps for q in load(tmp_path / "records")] == [0.02, 0.05, 0.1, 0.2]


@pytest.mark.parametrize("change", [{"image": "f" * 16}, {"label": 1, "prediction": 1}])
def test_questions_are_about_the_same_images(tmp_path, change):
    question(tmp_path, certify_row(5, C))
    question(tmp_path, certify_row(5, U, **change), eps=0.1)
    with pytest.raises(Inconsistent, match=f"example 5: {next(iter(change))}"):
        load(tmp_path / "records")


def test_questions_are_about_one_network(tmp_path):
    question(tmp_path, certify_row(5, C))
    folder = question(tmp_path, certify_row(6, C), eps=0.1)
    reworded(folder / "certify.jsonl", NETWORK, "ef" * 32)
    with pytest.raises(Inconsistent, match="network_sha256"):
        load(tmp_path / "records")


def test_superseded_records_and_stray_files_are_left_out(tmp_path):
    folder = question(tmp_path, certify_row(5, C))
    changed = header("certify", 0.05, settings={"ladder": "interval"})
    RecordFile(folder / "certify.jsonl", changed).append([certify_row(6, C)])
    (tmp_path / "records" / "note-to-self.txt").write_text(json.dumps({}))
    [merged] = load(tmp_path / "records")
    assert [row["index"] for row in merged.rows] == [6]
