"""What certificates say of smaller radii, and which accuracies a line may join."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rt_tf.records.merge import load, question_name
from rt_tf.records.record_file import RecordFile
from rt_tf.reporting.figures.curves import is_gap_known
from rt_tf.reporting.inference import inferred
from rt_tf.reporting.lines import lines
from rt_tf.reporting.summary import summarise
from tests.reporting import synthetic
from tests.reporting.synthetic import MISCLASSIFIED, certify_row, header, write_attack


def certificates(run, eps, certified, tried=range(60), rungs=("interval", "crown_ibp"), **changes):
    """A ladder's records: what is right and not certified is left unknown, loose."""
    changes = {"settings": {"rungs": list(rungs)}, **changes}
    folder = run / "records" / question_name(changes.get("threat", "linf"), eps)
    first = header("certify", eps, **changes)

    def verdict(index):
        if index in MISCLASSIFIED:
            return "falsified"
        return "certified" if index in certified else "unknown"

    RecordFile(folder / "certify.jsonl", first).append(certify_row(i, verdict(i)) for i in tried)


def line_of(run, accuracy="certified"):
    rows = [row for row in lines(inferred(load(run / "records"), [])) if row["threat"] == "linf"]
    return {row["accuracy"]: row for row in rows}.get(accuracy)


def counts(line):
    return [(point["epsilon"], point["rate"]["count"]) for point in line["points"]]


def test_a_certificate_certifies_the_smaller_radii_everywhere_a_report_counts(tmp_path):
    run = synthetic.write_run(tmp_path)
    certificates(run, 0.05, range(20, 60))
    certificates(run, 0.1, range(10, 30))
    report = summarise(run)
    small, large = report["questions"]
    assert (small["certified"]["count"], large["certified"]["count"]) == (50, 20)
    assert small["outcomes"]["certified"] == 50
    assert sum(row["certified"]["count"] for row in small["classes"]) == 50
    assert (small["certificate"]["inferred"], large["certificate"]["inferred"]) == (10, 0)
    assert sum(rung["credited"] for rung in small["certificate"]["rungs"]) == 40
    assert counts(next(row for row in report["lines"] if row["accuracy"] == "certified")) == [
        (0.05, 50),
        (0.1, 20),
    ]
    assert "50 of 60" in report["claim"]["sentence"]


@pytest.mark.parametrize(
    "other",
    [
        {"threat": "l2"},
        {"threat_settings": {"radii": [1.0, 0.0, 0.0]}},
        {"domain": [0.0, 255.0]},
    ],
)
def test_a_certificate_of_another_threat_or_domain_says_nothing(tmp_path, other):
    certificates(tmp_path, 0.05, range(20, 60))
    certificates(tmp_path, 0.1, range(10, 30), **other)
    small = inferred(load(tmp_path / "records"), [])
    larger = next(question for question in small if question.eps == 0.05)
    assert not any("inferred" in row for row in larger.rows)


def test_images_that_were_not_asked_stay_so(tmp_path):
    """Only those that a larger radius certifies would be added: the share would be too high."""
    certificates(tmp_path, 0.05, range(20, 40), tried=range(40))
    certificates(tmp_path, 0.1, range(10, 60))
    small, _ = inferred(load(tmp_path / "records"), [])
    assert len(small.rows) == 40
    assert sum(row["verdict"] == "certified" for row in small.rows) == 30


def test_certified_radii_are_certificates_too(tmp_path):
    certificates(tmp_path, 0.05, range(20, 60))
    rows = [{**synthetic.example(i), "radius": 0.06 if i < 12 else 0.04} for i in range(60)]
    (small,) = inferred(load(tmp_path / "records"), [(header("radius", 0.0), rows)])
    indices = {row["index"] for row in small.rows if row.get("inferred") == 0.06}
    assert indices == set(
        range(4, 12)
    )  # 0 to 3 are misclassified: their radii are of other classes


def test_no_line_joins_other_ladders_or_other_images(tmp_path):
    certificates(tmp_path, 0.025, range(10, 60), rungs=("attack", "crown"))
    certificates(tmp_path, 0.05, range(20, 60))
    assert line_of(tmp_path) is None
    certificates(tmp_path, 0.1, range(58, 70), tried=range(60, 70))
    assert line_of(tmp_path) is None
    certificates(tmp_path, 0.2, range(40, 60), rungs=("crown_ibp", "interval"))  # in other order
    assert counts(line_of(tmp_path)) == [(0.05, 40), (0.2, 20)]


def test_a_line_is_of_the_images_that_all_its_radii_share(tmp_path):
    certificates(tmp_path, 0.05, range(20, 60))
    for eps, certified in ((0.1, range(22, 60)), (0.2, range(26, 60)), (0.3, range(28, 60))):
        certificates(tmp_path, eps, certified, tried=range(30))
    line = line_of(tmp_path)
    assert (line["sample"]["n"], line["sample"]["indices"]) == (30, "0-29")
    assert counts(line) == [(0.05, 10), (0.1, 8), (0.2, 4), (0.3, 2)]


def test_a_line_of_attacks_is_of_the_same_attacks(tmp_path):
    for eps, broken in ((0.05, range(4, 10)), (0.1, range(4, 20))):
        write_attack(tmp_path, "pgd-40x1", broken, eps=eps)
    write_attack(tmp_path, "square-100x1", range(4, 30), eps=0.1)
    line = line_of(tmp_path, "attacked")
    assert (line["by"], counts(line)) == (["pgd-40x1"], [(0.05, 50), (0.1, 40)])
    write_attack(tmp_path, "square-100x1", range(4, 6), eps=0.05)
    line = line_of(tmp_path, "attacked")
    assert (line["by"], counts(line)) == (["pgd-40x1", "square-100x1"], [(0.05, 50), (0.1, 30)])


def test_the_gap_is_known_on_the_same_images_alone(tmp_path):
    for eps in (0.05, 0.1):
        certificates(tmp_path, eps, range(30, 60))
        write_attack(tmp_path, "pgd-40x1", range(4, 10), eps=eps)
    by_accuracy = {row["accuracy"]: row for row in lines(load(tmp_path / "records"))}
    assert is_gap_known(by_accuracy)
    by_accuracy["attacked"]["sample"] = {**by_accuracy["attacked"]["sample"], "sha256": "other"}
    assert not is_gap_known(by_accuracy)
    assert not is_gap_known({"certified": by_accuracy["certified"]})


@pytest.mark.parametrize("seed", range(5))
def test_certified_never_rises_with_the_radius_on_a_line(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for eps in (0.01, 0.02, 0.03, 0.04):
        certified = set(rng.permutation(range(4, 60))[: rng.integers(5, 50)].tolist())
        certificates(tmp_path, eps, certified, tried=range(int(rng.integers(20, 60))))
    certified_counts = [count for _, count in counts(line_of(tmp_path))]
    assert len(certified_counts) > 1
    assert all(a >= b for a, b in itertools.pairwise(certified_counts))
