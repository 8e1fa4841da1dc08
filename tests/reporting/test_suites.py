"""Suites as tables, against hand counts; worst cases are by example, on one sample."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from rt_tf.errors import UserError
from rt_tf.records.merge import Inconsistent, load
from rt_tf.reporting.attacks.suites import suites
from rt_tf.reporting.attacks.text import suite_markdown, suite_table
from tests.reporting.synthetic import N, settings, write_attack

TOLD = {
    "suite": "quick",
    "samples": 50,
    "questions": ["linf-0.05", "l2-1.5"],
    "attacks": {"linf-0.05": ["pgd", "fgsm"], "l2-1.5": ["pgd"]},
    "warnings": ["logits look like probabilities"],
}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Examples 0-3 are misclassified; 4-9, 8-11 and 10-13 fall to the three attacks."""
    write_attack(tmp_path, "pgd", range(4, 10), settings(steps=40, restarts=10))
    write_attack(tmp_path, "fgsm", range(8, 12), settings("fgsm", steps=1, restarts=1))
    write_attack(tmp_path, "pgd", [*range(10, 14), 55], threat="l2", eps=1.5, tried=range(1, N))
    return tmp_path / "records"


def written(records: Path, **changes) -> list[dict]:
    (records / "suite-quick.json").write_text(json.dumps({**TOLD, **changes}))
    return suites(records, load(records))


def counts(rate) -> tuple[int, int]:
    return rate["count"], rate["n"]


def test_worst_cases_by_example(records):
    """The first 50 examples that all three were tried on: 1 to 50; 1, 2 and 3 are misclassified."""
    [suite] = written(records)
    assert (suite["suite"], suite["samples"], suite["warnings"]) == ("quick", 50, TOLD["warnings"])
    assert (suite["sample"]["n"], suite["sample"]["indices"]) == (50, "1-50")
    assert counts(suite["clean"]) == (47, 50)
    rows = [(r["question"], r["id"], r["name"], *counts(r["attacked"])) for r in suite["rows"]]
    assert rows == [
        ("linf-0.05", "pgd", "pgd 40\N{MULTIPLICATION SIGN}10", 41, 50),
        ("linf-0.05", "fgsm", "fgsm", 43, 50),
        ("l2-1.5", "pgd", "pgd 40\N{MULTIPLICATION SIGN}2", 43, 50),
    ]
    minima = [(m["question"], m["epsilon"], *counts(m["attacked"])) for m in suite["minima"]]
    assert minima == [("linf-0.05", 0.05, 39, 50), ("l2-1.5", 1.5, 43, 50)]
    assert counts(suite["all"]) == (37, 50)  # 4 to 13 fall to one of them
    assert suite["rows"][0]["seconds"]["total"] == pytest.approx(50 * 0.01)
    assert suite["rows"][0]["distance"]["n"] == 6


def test_all_samples_and_no_example_in_common(records):
    [suite] = written(records, samples=0)
    assert suite["sample"]["indices"] == "1-59"
    write_attack(records.parent, "late", [], tried=[0])
    [suite] = written(
        records, attacks={**TOLD["attacks"], "l2-1.5": ["pgd"], "linf-0.05": ["late"]}
    )
    assert suite["sample"]["n"] == 0
    assert suite["all"] is None
    assert suite["minima"][0]["attacked"] is None
    assert suite_table(suite).row_count == 6
    assert "all attacks" in suite_markdown(suite)


def test_several_suites_by_name_and_none(records):
    (records / "suite-blackbox.json").write_text(json.dumps({**TOLD, "suite": "blackbox"}))
    assert [suite["suite"] for suite in written(records)] == ["blackbox", "quick"]
    for path in records.glob("suite-*"):
        path.unlink()
    assert suites(records, load(records)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"questions": ["linf-0.07"], "attacks": {"linf-0.07": ["pgd"]}},
        {"attacks": {**TOLD["attacks"], "l2-1.5": ["square"]}},
    ],
)
def test_a_suite_whose_records_are_gone(records, changes):
    with pytest.raises(Inconsistent, match="there are no records"):
        written(records, **changes)


@pytest.mark.parametrize(
    "changes", [{"questions": []}, {"attacks": {}}, {"attacks": {**TOLD["attacks"], "l2-1.5": []}}]
)
def test_a_suite_without_attacks(records, changes):
    with pytest.raises(UserError, match=r"suite-quick\.json: expected questions with attacks"):
        written(records, **changes)


@pytest.mark.parametrize("text", ["", "{", '{"suite": "quick"}', "[]"])
def test_a_damaged_suite(records, text):
    (records / "suite-quick.json").write_text(text)
    with pytest.raises(UserError, match=r"expected .*; delete the file"):
        suites(records, load(records))


def rendered(suite) -> list[str]:
    """The table's lines but for rules, with single spaces."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(suite_table(suite))
    text = console.export_text().replace("\N{EN DASH}", "-").replace("\N{MULTIPLICATION SIGN}", "x")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line.strip("\N{BOX DRAWINGS LIGHT HORIZONTAL} ")]


def test_terminal_table(records):
    lines = rendered(written(records)[0])
    assert lines[0] == "quick: accuracy left, on 50 test examples"
    assert [line.split(" (")[0] for line in lines[2:-2]] == [
        "clean 94.0",
        "pgd 40x10 82.0",
        "fgsm 86.0",
        "linf attacks",
        "pgd 40x2 86.0",
        "l2 attacks",
        "all attacks 74.0",
    ]
    assert lines[-1] == "warning: logits look like probabilities"
    assert lines[3].endswith("0.05 10 ms")
    assert lines[5].startswith("linf attacks (eps = 0.05) 78.0 (")


def test_markdown(records):
    text = suite_markdown(written(records)[0]).replace("\N{EN DASH}", "-")
    assert "| fgsm | 86.0 % (73.3-94.2 %, n 50) | 0.05 | 10 ms |" in text
    assert "| **l2 attacks (eps = 1.5)** | **86.0 % (73.3-94.2 %, n 50)** | | |" in text
    assert "| **all attacks** | **74.0 %" in text
    assert "- warning: logits look like probabilities" in text
