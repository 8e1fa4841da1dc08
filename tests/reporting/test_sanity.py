"""Sanity checks: each passes and fails by hand-made records, and is left out without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_tf.catalogue.attacks import ATTACKS, AttackEntry
from rt_tf.records.merge import load
from rt_tf.reporting.attacks import sanity as checks
from rt_tf.reporting.attacks.methods import names
from rt_tf.reporting.attacks.sanity import CHECKS, not_checked, sanity
from rt_tf.reporting.attacks.text import sanity_lines, sanity_markdown
from rt_tf.reporting.attacks.trials import Trial
from tests.reporting.synthetic import settings, write_attack

PIXELS = 16
MANY = 400  # 396 of them right when clean; an example is a quarter of a point
SINGLE, BUDGET, BLACK, NOISE, UNBOUNDED = (check.name for check in CHECKS)
FGSM = settings("fgsm", steps=1, restarts=1)
ATTACK = {"tried": range(MANY)}


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    """The table of attacks, with a black-box one, and noise that it says nothing of."""
    more = {"square": AttackEntry("", "", black_box=True), "gaussian_noise": AttackEntry("", "")}
    for name, entry in more.items():
        monkeypatch.setitem(ATTACKS, name, entry)


def findings(run: Path) -> dict[tuple[str, str], dict]:
    rows = sanity(load(run / "records"), PIXELS)
    assert all(set(row) == {"check", "threat", "passed", "told"} for row in rows)
    return {(row["check"], row["threat"]): row for row in rows}


@pytest.mark.parametrize(("alone", "passed"), [(0, True), (2, True), (3, False)])
def test_iterative_against_single_step(tmp_path, alone, passed):
    """Half a point is two examples: that many more may fall to the single step."""
    write_attack(tmp_path, "pgd", range(4, 14), **ATTACK)
    write_attack(tmp_path, "fgsm", range(4, 14 + alone), FGSM, **ATTACK)
    rows = findings(tmp_path)
    assert rows.keys() == {(SINGLE, "linf")}
    assert rows[SINGLE, "linf"]["passed"] == passed
    left = ("96.5", f"{100 * (386 - alone) / 400:.1f}")
    text = f"linf 0.05: pgd leaves {left[0]} %, fgsm leaves {left[1]} % of 400 examples"
    assert rows[SINGLE, "linf"]["told"] == text


def test_the_best_iterative_attack_counts(tmp_path):
    write_attack(tmp_path, "weak", range(4, 5), settings("mim"), **ATTACK)
    write_attack(tmp_path, "pgd", range(4, 50), **ATTACK)
    write_attack(tmp_path, "fgsm", range(4, 30), FGSM, **ATTACK)
    assert findings(tmp_path)[SINGLE, "linf"]["passed"]


def test_few_examples_are_no_evidence(tmp_path):
    """On the one example of `few`, it is as good as FGSM; on many, PGD is not."""
    write_attack(tmp_path, "few", [20], settings("mim"), tried=[20])
    write_attack(tmp_path, "pgd", range(4, 10), **ATTACK)
    write_attack(tmp_path, "fgsm", range(4, 30), FGSM, **ATTACK)
    row = findings(tmp_path)[SINGLE, "linf"]
    assert not row["passed"]
    assert "pgd leaves" in row["told"]


def test_only_common_examples_are_compared(tmp_path):
    """FGSM breaks 20 more, none of which PGD was tried on."""
    write_attack(tmp_path, "pgd", range(4, 10), tried=range(50))
    write_attack(tmp_path, "fgsm", [*range(4, 10), *range(60, 80)], FGSM, **ATTACK)
    row = findings(tmp_path)[SINGLE, "linf"]
    assert row["passed"]
    assert "of 50 examples" in row["told"]


def test_the_worst_question_decides(tmp_path):
    for eps, broken in ((0.05, 40), (0.1, 20), (0.2, 60)):
        write_attack(tmp_path, "pgd", range(4, broken), eps=eps, **ATTACK)
        write_attack(tmp_path, "fgsm", range(4, 30), FGSM, eps=eps, **ATTACK)
    row = findings(tmp_path)[SINGLE, "linf"]
    assert not row["passed"]
    assert row["told"].startswith("linf 0.1: pgd leaves 95.0 %, fgsm leaves 92.5 %")
    assert row["told"].endswith("(the worst of 3 comparisons)")


@pytest.mark.parametrize(("broken", "passed"), [(30, True), (32, True), (28, True), (33, False)])
def test_a_larger_budget(tmp_path, broken, passed):
    write_attack(tmp_path, "tiny", [], settings(steps=2, restarts=1), **ATTACK)
    write_attack(tmp_path, "some", range(4, 30), settings(steps=40, restarts=1), **ATTACK)
    big = settings(steps=50, restarts=10, step_size=0.1, seed=3)
    write_attack(tmp_path, "most", range(4, broken), big, **ATTACK)
    row = findings(tmp_path)[BUDGET, "linf"]
    assert row["passed"] == passed
    assert "most leaves" in row["told"]
    assert "some leaves" in row["told"]


@pytest.mark.parametrize("other", [{"loss": "margin"}, {"start": "zero"}, {"attack": "mim"}, {}])
def test_budgets_of_different_attacks_are_not_compared(tmp_path, other):
    write_attack(tmp_path, "some", range(4, 30), settings(steps=40, restarts=1), **ATTACK)
    budget = {"steps": 80} if other else {"steps": 20, "restarts": 2}  # or an equal budget
    write_attack(tmp_path, "more", [], settings(**{"restarts": 1, **budget, **other}), **ATTACK)
    assert (BUDGET, "linf") not in findings(tmp_path)


@pytest.mark.parametrize(
    ("steps", "restarts", "budget"), [(4, 3, 12), (7, 0, 7), (0, 5, 5), (None, None, 1)]
)
def test_a_budget_is_of_steps_and_restarts_where_there_are_any(steps, restarts, budget):
    budgeted = {"steps": steps, "restarts": restarts}
    assert Trial(None, "", budgeted, {}, {}).budget == budget  # type: ignore[arg-type]


@pytest.mark.parametrize("black", ["square", "transfer-pgd-natural"])
@pytest.mark.parametrize(("alone", "passed"), [(2, True), (3, False)])
def test_white_box_against_black_box(tmp_path, black, alone, passed):
    black_settings = (
        settings("square", steps=5000) if black == "square" else settings(source="natural")
    )
    write_attack(tmp_path, "fgsm", range(4, 14), FGSM, **ATTACK)
    write_attack(tmp_path, black, range(4, 14 + alone), black_settings, **ATTACK)
    rows = findings(tmp_path)
    assert rows.keys() == {(BLACK, "linf")}
    assert rows[BLACK, "linf"]["passed"] == passed


@pytest.mark.parametrize(("lost", "passed"), [(0, True), (20, True), (21, False)])
def test_noise(tmp_path, lost, passed):
    noise = settings("gaussian_noise", steps=None)
    write_attack(tmp_path, "noise", range(4, 4 + lost), noise, threat="l2", eps=1.5, **ATTACK)
    rows = findings(tmp_path)
    assert rows.keys() == {(NOISE, "l2")}
    assert rows[NOISE, "l2"]["passed"] == passed
    assert "of a clean accuracy of 99.0 % on 400 examples" in rows[NOISE, "l2"]["told"]


@pytest.mark.parametrize(
    ("threat", "radii", "broken", "passed"),
    [
        ("linf", [0.1, 0.3], 60, True),  # nothing left at all, at whatever radius
        ("linf", [0.1, 0.3], 59, None),  # one left, but 0.3 is a bound
        ("linf", [0.1, 0.5], 59, False),
        ("l2", [1.9], 59, None),
        ("l2", [2.0], 59, False),  # half of the square root of 16
        ("l1", [8.0], 59, False),
        ("l1", [7.9], 59, None),
        ("wasserstein", [1.0, 2.0], 59, None),
        ("wasserstein", [1.0, 2.0, 3.0], 59, False),
        ("wasserstein", [1.0, 2.0, 3.0], 60, True),
    ],
)
def test_unbounded(tmp_path, threat, radii, broken, passed):
    for eps in radii:
        last = range(4, broken) if eps == radii[-1] else [4]
        write_attack(tmp_path, "pgd", last, threat=threat, eps=eps)
    row = findings(tmp_path).get((UNBOUNDED, threat))
    assert (row and row["passed"]) == passed
    text = f"the largest radius: pgd leaves {0.0 if broken == 60 else 1.7} % of 60 examples"
    assert row is None or row["told"] == f"{threat} {radii[-1]:g}, {text}"


def test_only_an_iterative_white_box_attack_is_taken_for_unbounded(tmp_path):
    write_attack(tmp_path, "fgsm", range(4, 60), FGSM, eps=0.5)
    write_attack(tmp_path, "square", range(4, 60), settings("square"), eps=0.5)
    assert (UNBOUNDED, "linf") not in findings(tmp_path)


def test_what_the_table_does_not_know_is_compared_with_nothing(tmp_path):
    write_attack(tmp_path, "pgd", [], **ATTACK)
    write_attack(tmp_path, "gone", range(4, 90), settings("gone", steps=1), **ATTACK)
    rows = list(findings(tmp_path).values())
    assert rows == []
    assert not_checked(rows) == [check.name for check in CHECKS]


def test_thresholds_are_stated():
    assert (checks.SLACK, checks.BUDGET_CHANGE, checks.NOISE_LOSS) == (0.005, 0.005, 0.05)
    assert all("0.5 points" in name for name in (SINGLE, BUDGET, BLACK))
    assert " 5 points" in NOISE


def test_words(tmp_path):
    write_attack(tmp_path, "pgd", range(4, 14), **ATTACK)
    write_attack(tmp_path, "fgsm", range(4, 40), FGSM, **ATTACK)
    report = {"sanity": sanity(load(tmp_path / "records"), PIXELS)}
    lines = [line.plain for line in sanity_lines(report)]
    assert len(lines) == len(CHECKS)
    assert lines[0].startswith(f"FAIL  {SINGLE}: linf 0.05: pgd leaves 96.5 %")
    assert lines[1].endswith(f"{BUDGET}: no records to compare")
    text = sanity_markdown(report)
    assert text.startswith(f"- FAIL: {SINGLE} (linf 0.05")
    assert text.count("not checked") == 4


def test_names_tell_a_questions_attacks_apart():
    by_id = {
        "a": settings(steps=40, restarts=10),
        "b": settings("fgsm", steps=1, restarts=1),
        "c": settings("gaussian_noise", steps=None, restarts=None),
        "d": settings("mim", steps=5, restarts=1, loss="ce"),
        "f": settings("mim", steps=5, restarts=1, loss="ce", seed=1),
        "e": settings("mim", steps=5, restarts=1, loss="dlr"),
        "transfer-1": settings(steps=40, restarts=1, source="natural"),
    }
    assert names(by_id) == {
        "a": "pgd 40\N{MULTIPLICATION SIGN}10",
        "b": "fgsm",
        "c": "gaussian_noise",
        "d": "d",
        "e": "mim 5 dlr",
        "f": "f",
        "transfer-1": "pgd 40 from natural",
    }
