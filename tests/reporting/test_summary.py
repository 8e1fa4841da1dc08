"""The report's numbers against the hand counts of the synthetic run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rt_tf.errors import UserError
from rt_tf.records.merge import Inconsistent, RecordFile
from rt_tf.reporting import recorded
from rt_tf.reporting.claim import words
from rt_tf.reporting.summary import by_threat, main_question, summarise
from tests.reporting.synthetic import (
    N,
    attack_row,
    certify_row,
    header,
    settings,
    write_attack,
    write_question,
    write_run,
)


def counts(question) -> dict:
    names = ("clean", "attacked", "certified")
    return {name: (question[name]["count"], question[name]["n"]) for name in names}


def edit_run(run_dir: Path, **changes) -> None:
    path = run_dir / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_main_question(run_dir):
    report = summarise(run_dir)
    main = main_question(report)
    assert report["schema"] == "rt_tf.report/4"
    assert main["name"] == report["main"] == "linf-0.05"
    assert counts(main) == {"clean": (56, N), "attacked": (50, N), "certified": (45, N)}
    assert main["outcomes"] == {
        "certified": 45,
        "loose": 5,
        "time": 0,
        "memory": 0,
        "infinite": 0,
        "incomplete": 0,
        "error": 0,
        "not_asked": 0,
        "attack": 6,
        "misclassified": 4,
    }
    assert main["common"] is None


def test_evidence_of_the_main_question(run_dir):
    main = main_question(summarise(run_dir))
    crown = main["certificate"]["rungs"][1]
    assert (crown["rung"], crown["tried"], crown["certified"]) == ("crown_ibp", 56, 45)
    assert main["certificate"]["settings"] == {"ladder": "interval,crown_ibp"}
    assert main["certificate"]["seconds"]["mean"] == pytest.approx(0.004)
    last = main["certificate"]["pace"][-1]
    assert (last["certified"], last["falsified"], last["open"]) == (45, 0, 11)
    [attack] = main["attacks"]
    assert (attack["id"], attack["attacked"]["count"]) == ("pgd-40x2", 50)
    assert attack["name"] == "pgd 40\N{MULTIPLICATION SIGN}2"
    assert attack["distance"]["n"] == 6
    assert attack["distance"]["median"] == pytest.approx(0.045)
    assert attack["sample"]["indices"] == "0-59"
    assert attack["seconds"]["total"] == pytest.approx(0.6)
    assert sum(row["clean"]["n"] for row in main["classes"]) == N
    assert sum(row["certified"]["count"] for row in main["classes"]) == 45


def test_different_samples_are_told_apart(run_dir):
    question = summarise(run_dir)["questions"][0]
    assert question["name"] == "linf-0.025"
    # 40 asked, 30 attacked of them; 4 misclassified, 2 broken, 2 loose
    assert counts(question) == {"clean": (36, 40), "attacked": (24, 30), "certified": (32, 40)}
    expected = {"clean": (26, 30), "attacked": (24, 30), "certified": (22, 30)}
    assert counts(question["common"]) == expected


def test_attack_alone_and_certificate_alone(run_dir):
    for name in ("certify", "attack-pgd-40x2"):
        (run_dir / "records" / "linf-0.05" / f"{name}.jsonl").rename(run_dir / f"{name}.jsonl")
        main = main_question(summarise(run_dir))
        gone, left = ("certified", "attacked") if name == "certify" else ("attacked", "certified")
        assert main[gone] is None
        assert main[left]["n"] == N
        (run_dir / f"{name}.jsonl").rename(run_dir / "records" / "linf-0.05" / f"{name}.jsonl")


def test_examples_cover_the_classes_first(run_dir):
    examples = summarise(run_dir, examples=5)["examples"]["linf"]
    assert [(e["label"], e["index"], e["epsilon"]) for e in examples] == [
        *((1, 4, 0.025), (2, 5, 0.025), (0, 6, 0.05)),  # each class's smallest, the nearest first
        *((1, 7, 0.05), (2, 8, 0.05)),
    ]
    assert examples[2]["file"] == "records/linf-0.05/adversarial/00006-pgd-40x2.npy"
    assert all(e["prediction"] != e["label"] for e in examples)


def test_examples_are_the_smallest_over_attacks_and_radii(run_dir):
    write_attack(run_dir, "mim-40x1", range(4, 8), settings("mim", restarts=1), distance=0.03)
    write_attack(run_dir, "l2", [4], threat="l2", eps=1.5, distance=1.25)
    examples = summarise(run_dir)["examples"]
    assert list(examples) == ["l2", "linf"]
    assert [e["distance"] for e in examples["l2"]] == [1.25]
    by_index = {e["index"]: (e["name"], e["epsilon"], e["distance"]) for e in examples["linf"]}
    assert len(by_index) == len(examples["linf"]) == 8
    assert by_index[4] == ("pgd 40\N{MULTIPLICATION SIGN}2", 0.025, 0.9 * 0.025)
    assert by_index[6] == ("mim 40", 0.05, 0.03)
    assert by_index[8] == ("pgd 40\N{MULTIPLICATION SIGN}2", 0.05, 0.9 * 0.05)


def test_context(run_dir):
    report = summarise(run_dir)
    assert report["data"]["sample"]["indices"] == "0-59"
    assert (report["data"]["size"], report["data"]["checksum"]) == (360, "cd" * 32)
    assert [row["epoch"] for row in report["training"]["history"]] == list(range(6))
    assert report["provenance"]["seed"] == 7
    assert report["model"]["network_sha256"] == "ab" * 32
    assert "at most 0.05 (0.8 of 16 grey levels)" in report["claim"]["sentence"]
    assert report["claim"]["sentence"].startswith("For 45 of 60 test images")
    assert by_threat(report).keys() == {"linf"}
    assert [q["epsilon"] for q in by_threat(report)["linf"]] == [0.025, 0.05, 0.1]


def test_the_selected_network_stands_beside_the_last_one(run_dir):
    training = summarise(run_dir)["training"]
    assert training["cpu_seconds"] == 80.5
    assert [training[end]["epoch"] for end in ("best", "final")] == [4, 5]
    assert training["best"]["validation"]["attacked"] == pytest.approx(0.8)
    assert training["final"]["train"] == training["history"][5]["train"]
    (run_dir / "history.jsonl").unlink()
    assert summarise(run_dir)["training"]["best"] is None


def test_sample_checksum_depends_on_the_images(run_dir, tmp_path):
    before = summarise(run_dir)["data"]["sample"]["sha256"]
    other = write_run(tmp_path / "other")
    folder = other / "records" / "linf-0.05"
    rows = [certify_row(i, "certified", image="f" * 16) for i in range(10, N)]
    RecordFile(folder / "certify.jsonl", header("certify", 0.05)).append(rows)
    assert summarise(other)["data"]["sample"]["sha256"] != before


@pytest.mark.parametrize(("epsilon", "name"), [("1/10", "linf-0.1"), (0.025, "linf-0.025")])
def test_epsilon_as_flags_write_it(run_dir, epsilon, name):
    edit_run(run_dir, flags={"threat": "linf", "epsilon": epsilon})
    assert summarise(run_dir)["main"] == name


def test_no_records_of_the_own_question(run_dir):
    edit_run(run_dir, flags={"threat": "linf", "epsilon": 0.3})
    with pytest.raises(UserError, match=r"linf-0\.3, .* there are linf-0\.025, linf-0\.05"):
        summarise(run_dir)


def test_records_of_another_network(run_dir):
    edit_run(run_dir, network_sha256="ef" * 32)
    with pytest.raises(Inconsistent, match="is of network abab"):
        summarise(run_dir)


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": {"verdict": "certified", "cause": None}},
        {"correct": False, "attacks": {"pgd": {"success": False}}},
        {"correct": False, "certificate": {"verdict": "certified", "cause": None}, "attacks": {}},
    ],
)
def test_summary_checks_the_order_itself(run_dir, monkeypatch, change):
    """Even if merging let it through: example 5 is right, attacked and not certified."""
    real = recorded.load

    def broken(path):
        questions = real(path)
        questions[1].rows[5].update(change)
        return questions

    monkeypatch.setattr(recorded, "load", broken)
    with pytest.raises(Inconsistent, match=r"linf-0\.05, example 5"):
        summarise(run_dir)


def test_contradiction_across_radii_stops_the_report(run_dir):
    write_question(run_dir, 0.2, broken=(), loose=())  # certifies what 0.1 falsifies
    with pytest.raises(Inconsistent, match=r"certified at linf eps 0\.2, falsified at 0\.1"):
        summarise(run_dir)


def test_several_attacks_count_together(run_dir):
    folder = run_dir / "records" / "linf-0.05"
    second = RecordFile(folder / "attack-fgsm.jsonl", header("attack", 0.05, "fgsm"))
    file = "adversarial/00004-pgd-40x2.npy"  # any stored image will do
    second.append(attack_row(i, i < 4, None) for i in range(20) if i != 12)
    second.append([attack_row(12, True, file, distance=0.05)])
    main = main_question(summarise(run_dir))
    assert counts(main)["attacked"] == (49, N)  # example 12 falls to the second alone
    assert {a["id"]: a["attacked"]["count"] for a in main["attacks"]} == {
        "fgsm": 15,
        "pgd-40x2": 50,
    }
    assert (main["outcomes"]["attack"], main["outcomes"]["loose"]) == (7, 4)


def test_threats_are_told_in_words():
    assert words("linf", 0.1, 255) == (
        "every pixel may change by at most 0.1 (25.5 of 255 grey levels), pixels staying in [0, 1]"
    )
    assert words("union", 0.5, 255, (0.3, 1.5, 0.0)) == (
        "the change lies in one of these balls: Linf of radius 0.15, L2 of radius 0.75, pixels "
        "staying in [0, 1]"
    )


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_a_history_that_lost_lines_is_named(run_dir, kept):
    history = run_dir / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    edit_run(run_dir, history=6)
    assert len(summarise(run_dir)["training"]["history"]) == 6
    history.write_text("".join(lines[:kept]) + '{"phase": 0, "epo')
    message = f"history.jsonl with the 6 lines that training wrote; it has {kept} whole ones"
    with pytest.raises(UserError, match=message) as caught:
        summarise(run_dir)
    assert "\n" not in str(caught.value)
    history.unlink()  # by whoever did as they were told
    assert summarise(run_dir)["training"]["history"] == []
