"""Suites and single attacks on a finished run, as `python -m pipelines.evaluate` does them."""

import json
import shutil
from pathlib import Path

import pytest

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import SUITES, Budget, Suite
from rt_tf.errors import UserError
from rt_tf.evaluation import preflight
from rt_tf.evaluation.estimate import TRACING, Cost
from rt_tf.records import merge, record_file
from tests.pipelines.conftest import report_of, run

BRIEF = Suite("for tests", (Budget("fgsm", start="zero"), Budget("pgd", 4, 2), Budget("mim", 4)))
PARTS = Suite("for tests", (Budget("pgd", 4), Budget("fgsm", threats=("linf",))), by_part=True)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SUITES, "quick", BRIEF)
    monkeypatch.setitem(SUITES, "paper-union", PARTS)


def ask(folder: Path, *arguments: str) -> None:
    usual = [f"--model_dir={folder}", "--samples=30", "--curve_samples=10", "--quiet"]
    run("evaluate", *usual, *arguments)


def attack_files(copy: Path) -> dict[str, bytes]:
    return {str(p.relative_to(copy)): p.read_bytes() for p in copy.glob("records/*/attack-*.jsonl")}


def test_a_suite_is_asked_whole_and_goes_on_after_a_kill(copy: Path) -> None:
    ask(copy, "--suite=quick")
    (suite,) = report_of(copy)["suites"]
    assert [row["id"] for row in suite["rows"]] == ["fgsm-1x1-zero", "pgd-4x2", "mim-4x1"]
    assert suite["samples"] == 30
    assert suite["all"]["count"] <= min(row["attacked"]["count"] for row in suite["rows"])
    whole, page = attack_files(copy), (copy / "report" / "report.html").read_bytes()
    file = copy / "records/linf-0.05/attack-pgd-4x2.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:11]) + lines[11][:20])  # killed in the middle of a line
    (copy / "records/linf-0.05/attack-mim-4x1.jsonl").unlink()
    ask(copy, "--suite=quick")
    again = attack_files(copy)
    lines = {name: _without_times(content) for name, content in again.items()}
    assert lines == {name: _without_times(content) for name, content in whole.items()}
    assert (
        again["records/linf-0.05/attack-fgsm-1x1-zero.jsonl"]
        == whole["records/linf-0.05/attack-fgsm-1x1-zero.jsonl"]
    )
    assert (copy / "report" / "report.html").read_bytes() != page  # times differ


def test_the_slices_of_a_suite_come_to_what_one_process_comes_to(
    copy: Path, tmp_path: Path
) -> None:
    alone = shutil.copytree(copy, tmp_path / "alone")
    ask(alone, "--suite=quick")
    ask(copy, "--suite=quick", "--slice=2/2")
    lost = "slice 1/2 of linf-0.05/attack-fgsm-1x1-zero lacks 15 examples"
    assert lost in report_of(copy)["warnings"]
    ask(copy, "--suite=quick", "--slice=1/2")
    ours, theirs = report_of(copy), report_of(alone)
    assert ours["warnings"] == theirs["warnings"] == []
    assert ours["suites"][0]["all"] == theirs["suites"][0]["all"]
    assert [(row["id"], row["attacked"]) for row in ours["suites"][0]["rows"]] == [
        (row["id"], row["attacked"]) for row in theirs["suites"][0]["rows"]
    ]
    # The first slice alone draws the curve, of the first ten examples.
    curves = [
        {q["epsilon"]: q["attacked"] for q in report["questions"] if q["epsilon"] != 0.05}
        for report in (ours, theirs)
    ]
    assert curves[0] == curves[1]


def test_a_success_counts_in_whichever_part_it_is(copy: Path) -> None:
    folder = copy / "records" / "linf-0.05"
    ask(copy, "--epsilon=0.05", "--eval_steps=4", "--slice=1/1")
    path = folder / "attack-pgd-4x2-odds-1of1.jsonl"
    header, rows = merge.read(path)
    counts = [row["success"] for row in rows]
    assert any(counts)
    assert not all(counts)
    failed = [{**row, "success": False, "adversarial_prediction": None} for row in rows]
    failed = [{**row, "file": None, "sha256": None, "distance": None} for row in failed]
    right = [row for row in failed if row["label"] == row["prediction"]]
    other = folder / "attack-pgd-4x2-odds-1of2.jsonl"
    other.write_bytes(b"".join(map(record_file.line, [header, *right])))
    merged = {row["index"]: row["attacks"] for row in merge.merge(folder)}
    assert [merged[row["index"]]["pgd-4x2-odds"]["success"] for row in rows] == counts


def _without_times(content: bytes) -> list[dict]:
    """The lines but for how long they took, and for their checksums."""
    rows = [json.loads(line) for line in content.splitlines()]
    left_out = ("seconds", "checksum")
    return [{key: value for key, value in row.items() if key not in left_out} for row in rows]


def test_curves_go_on_until_no_image_withstands(copy: Path) -> None:
    ask(copy, "--suite=quick")
    questions = [q for q in report_of(copy)["questions"] if q["attacks"]]
    counts = sorted((q["epsilon"], q["attacked"]["count"]) for q in questions)
    assert [count for _, count in counts[:-1]].count(0) == 0
    assert counts[-1][1] == 0 or counts[-1][0] == 1.0
    assert {0.0125, 0.025, 0.0375, 0.05, 0.07} <= {eps for eps, _ in counts}
    checks = {row["check"]: row for row in report_of(copy)["sanity"]}
    assert all(row["passed"] for row in checks.values()), checks


def test_the_parts_of_a_union_are_questions_of_their_own(copy: Path) -> None:
    ask(copy, "--suite=paper-union", "--threat=union", "--union_radii=0.05,0.3,0")
    (suite,) = report_of(copy)["suites"]
    pairs = [(row["question"], row["id"]) for row in suite["rows"]]
    assert pairs == [("linf-0.05", "pgd-4x1"), ("linf-0.05", "fgsm-1x1"), ("l2-0.3", "pgd-4x1")]
    fewest = min(minimum["attacked"]["count"] for minimum in suite["minima"])
    assert suite["all"]["count"] <= fewest
    clean = {q["name"]: q["clean"]["count"] for q in report_of(copy)["questions"]}
    assert clean["l2-0.3"] >= fewest


def test_a_warning_of_a_single_attack_is_in_the_report(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "the cross-entropy loss has a zero gradient at 98 of 100 points"
    monkeypatch.setattr(preflight, "vanishing_gradients", lambda task, x: [line])
    ask(copy, "--epsilon=0.0999999999", "--eval_steps=2")
    assert report_of(copy)["warnings"] == [line]
    for file in ("report/report.html", "export/assets.extra/MODEL_CARD.md"):
        text = (copy / file).read_text()
        assert line in text
        assert "linf 0.0999999999" in text  # the radius is not rounded on the way
    assert (copy / "records" / "linf-0.0999999999").is_dir()
    monkeypatch.undo()
    ask(copy, "--epsilon=0.1", "--eval_steps=2")
    assert report_of(copy)["warnings"] == []


def test_points_of_the_networks_own_copy_are_as_good_as_its_own(copy: Path, finished: Path) -> None:
    single = ("--epsilon=0.1", "--eval_steps=5", "--eval_restarts=1")
    ask(copy, *single, f"--transfer_from={finished}")
    attacks = {a["id"]: a for q in report_of(copy)["questions"] for a in q["attacks"]}
    assert (
        attacks["transfer-two_phases-pgd-5x1-odds"]["attacked"]
        == attacks["pgd-5x1-odds"]["attacked"]
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--epsilon=0",), r"epsilon: expected a radius in \(0, 1\] for linf; received 0"),
        (("--threat=l2",), r"epsilon: expected --epsilon=<radius> with --threat=l2"),
        (("--suite=paper-union",), r"threat: expected --threat=union for this suite"),
        (("--eval_attack=msd",), r"eval_attack: expected one for linf .*; received msd"),
        (("--eval_attack=cascade",), r"for a network that is no cascade; received cascade"),
        (("--eval_attack=apgd_t", "--eval_loss=ce"), r"eval_loss: expected none .*; received ce"),
        (("--suite=quick", "--eval_steps=3"), r"eval_steps: expected none with --suite"),
        (("--transfer_from=nowhere",), r"transfer_from: expected folders of finished runs"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(
    copy: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = attack_files(copy)
    with pytest.raises(UserError, match=words):
        ask(copy, *arguments)
    assert attack_files(copy) == before
    assert not Path("nowhere").exists()


def test_every_attack_of_a_suite_exists_and_suites_name_their_budgets_apart() -> None:
    for suite in SUITES.values():
        assert {budget.attack for budget in suite.budgets} <= set(ATTACKS)
        names = [(budget.name(), budget.threats) for budget in suite.budgets]
        assert len(set(names)) == len(names)


def test_adversarial_images_are_kept_and_their_records_agree(copy: Path) -> None:
    ask(copy, "--epsilon=0.2", "--eval_steps=10")
    (question,) = [q for q in merge.load(copy / "records") if q.eps == 0.2]
    stored = [row for row in question.rows if row["attacks"]["pgd-10x2-odds"]["file"]]
    assert stored
    assert all(0.0 < row["attacks"]["pgd-10x2-odds"]["distance"] <= 0.2 for row in stored)


def test_estimates_count_steps_restarts_and_judging() -> None:
    expected = TRACING + 100 * (10 * 2 * 0.01 + 2 * 0.5)
    assert Cost(step=0.01, judging=0.5).of(Budget("pgd", 10, 2), 100) == pytest.approx(expected)
