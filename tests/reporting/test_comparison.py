"""Comparisons of made-up runs, of which every count is known by hand."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from absl import flags

from pipelines import compare as command
from pipelines.flags.parsing import parse_with_others
from rt_tf.errors import UserError
from rt_tf.reporting.comparison import figures, page, tables
from rt_tf.reporting.comparison.comparing import Comparison, compare, spread
from rt_tf.reporting.formats import DASH
from tests.reporting import synthetic

OPERATIONAL = {"model_dir", "data_dir"}
OTHER_EPS = 0.1


def make(folder: Path, number: int, **facts: Any) -> Path:
    """A run with a network of its own, without records. facts: of run.json, flags among them."""
    synthetic.write_run(folder)
    notes = json.loads((folder / "run.json").read_text())
    changed = {**notes, **facts, "flags": {**notes["flags"], **facts.get("flags", {})}}
    (folder / "run.json").write_text(json.dumps({**changed, "network_sha256": network(number)}))
    return folder


def network(number: int) -> str:
    return f"{number:064x}"


def ask(folder: Path, number: int, eps: float = 0.05, **counts: Any) -> None:
    """Records of a question. counts: as in `synthetic.write_question`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(number))
        synthetic.write_question(folder, eps, **counts)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three seeds of one system and a run of another, which has fewer images."""
    made = []
    for seed in range(3):
        folder = make(tmp_path / f"a{seed}", seed, seed=seed, flags={"model_dir": f"a{seed}"})
        synthetic_seconds(folder, 40.0 + seed)
        ask(folder, seed, broken=range(4, 10), loose=range(10, 12 + 3 * seed))
        made.append(folder)
    other = make(tmp_path / "b", 7, system="digits/b_1")
    ask(other, 7, broken=range(4, 6), loose=range(6, 8), tried=40, attacked=30)
    return [*made, other]


def synthetic_seconds(folder: Path, seconds: float) -> None:
    notes = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**notes, "seconds": {"train": seconds}}))


def shares(comparison: Comparison) -> dict[str, list[Any]]:
    """By column: the number of images, then the counts of each system's runs."""
    return {
        column.accuracy: [column.images, *(r and [x["count"] for x in r] for r in column.rates)]
        for column in comparison.columns
    }


def test_accuracies_are_of_the_images_that_all_runs_have(runs: list[Path]) -> None:
    comparison = compare(runs, None, OPERATIONAL)
    assert [system.name for system in comparison.systems] == ["digits/ibp", "digits/b_1"]
    assert shares(comparison) == {
        "clean": [40, [36, 36, 36], [36]],
        "attacked": [30, [20, 20, 20], [24]],
        "certified": [40, [28, 25, 22], [32]],
    }
    alone = compare(runs[:3], None, OPERATIONAL)
    assert shares(alone)["certified"] == [60, [48, 45, 42]]


def test_the_table_has_a_row_for_each_system(runs: list[Path]) -> None:
    headings, rows = tables.table(compare(runs, None, OPERATIONAL))
    assert headings[:2] == ["system", "seeds"]
    assert headings[2:5] == ["clean (n 40)", "attacked 0.05 (n 30)", "certified 0.05 (n 40)"]
    several = ["digits/ibp", "0, 1, 2", "90.0 ± 0.0", "66.7 ± 0.0", "62.5 ± 7.5", "41 s ± 1 s"]
    assert rows == [several, ["digits/b_1", "7", "90.0", "80.0", "80.0", "41.5 s"]]


def test_markdown_says_how_many_images_and_what_the_deviation_is_of(runs: list[Path]) -> None:
    lines = tables.markdown(compare(runs[:3], None, OPERATIONAL)).splitlines()
    assert lines[0].startswith("Clean, attacked and certified accuracy in %, linf, on the same 60")
    assert lines[2] == "| system | seeds | clean | attacked 0.05 | certified 0.05 | training |"
    assert lines[3] == "|---|---|---:|---:|---:|---:|"
    assert lines[4].startswith("| digits/ibp | 0, 1, 2 | 93.3 ± 0.0 | 83.3 ± 0.0 | 75.0 ± 5.0 |")
    assert lines[6:] == ["- Several seeds: mean ± standard deviation."]


def test_csv_has_full_digits(runs: list[Path]) -> None:
    text = tables.csv_text(compare(runs, None, OPERATIONAL))
    first, second = csv.DictReader(io.StringIO(text))
    assert first["system"] == "digits/ibp"
    assert float(first["certified 0.05"]) == pytest.approx(25 / 40)
    assert float(first["certified 0.05 deviation"]) == pytest.approx(3 / 40)
    assert first["certified 0.05 images"] == "40"
    assert (float(first["training"]), float(first["training deviation"])) == (41.0, 1.0)
    assert (float(second["attacked 0.05"]), second["attacked 0.05 deviation"]) == (24 / 30, "")


def test_latex_is_whole_and_escaped(runs: list[Path]) -> None:
    lines = tables.latex(compare(runs, None, OPERATIONAL)).splitlines()
    body = [line for line in lines if not line.startswith("%")]
    assert body[0] == r"\begin{tabular}{llrrrr}"
    assert body[-1] == r"\end{tabular}"
    rows = [line for line in body if line.endswith(r" \\")]
    assert [row.count(" & ") for row in rows] == [5, 5, 5]
    assert r"62.5 $\pm$ 7.5" in rows[1]
    assert rows[2].startswith(r"digits/b\_1 & 7 & ")


def test_several_radii_have_columns_and_one_for_the_clean_images(runs: list[Path]) -> None:
    for number, folder in enumerate(runs[:2]):
        ask(folder, number, OTHER_EPS, broken=range(4, 20), loose=range(20, 30))
    comparison = compare(runs[:2], [OTHER_EPS, 0.05], OPERATIONAL)
    names = [(column.accuracy, column.eps) for column in comparison.columns]
    of_both = [(name, eps) for eps in (0.05, OTHER_EPS) for name in ("attacked", "certified")]
    assert names == [("clean", 0.05), *of_both]
    assert [rate["count"] for rate in comparison.columns[-1].rates[0]] == [30, 30]


def test_runs_of_one_name_with_other_flags_are_no_seeds(runs: list[Path], tmp_path: Path) -> None:
    changed = make(tmp_path / "longer", 9, seed=0, flags={"epochs": "90"})
    ask(changed, 9)
    names = [system.name for system in compare([runs[0], changed], None, OPERATIONAL).systems]
    assert names == [f"digits/ibp ({runs[0]})", f"digits/ibp ({changed})"]


def test_what_was_not_measured_has_a_dash(runs: list[Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "attacked", 9, system="digits/c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(9))
        synthetic.write_attack(folder, "pgd-40x2", range(4, 10))
    comparison = compare([runs[0], folder], None, OPERATIONAL)
    assert shares(comparison)["certified"] == [60, [48], None]
    assert tables.table(comparison).rows[1][4] == DASH


def test_other_attacks_and_machines_are_noted(runs: list[Path], tmp_path: Path) -> None:
    assert compare(runs, None, OPERATIONAL).notes == []
    folder = make(tmp_path / "c", 9, system="c", hardware={"cpu": "Another", "cores": 64})
    ask(folder, 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(9))
        synthetic.write_attack(folder, "apgd", range(4, 10))
    attacks, machines = compare([runs[0], folder], None, OPERATIONAL).notes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(1))
        steps = synthetic.settings(steps=200)
        synthetic.write_attack(runs[1], "pgd-200x2", range(4, 10), steps)
        patch.setattr(synthetic, "NETWORK", network(2))
        synthetic.write_attack(runs[2], "pgd-200x2-s2", range(4, 10), {**steps, "seed": 2})
    assert compare(runs[1:3], None, OPERATIONAL).notes == []  # seeds are no other attacks
    assert attacks == (
        f"The attacks at 0.05 are not the same: {runs[0]}: pgd-40x2; {folder}: apgd, pgd-40x2."
    )
    assert "machines of several kinds" in machines


def test_an_attack_without_an_example_is_none(runs: list[Path]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(0))
        synthetic.write_attack(runs[0], "uniform_noise-100x1", range(0), tried=range(0))
    assert compare(runs[:2], None, OPERATIONAL).notes == []


def refusal(*arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        compare(*arguments, OPERATIONAL)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_runs_that_cannot_be_compared_are_refused(runs: list[Path], tmp_path: Path) -> None:
    first = runs[0]
    dataset = json.loads((first / "run.json").read_text())["dataset"]
    assert refusal([first], None) == "runs: expected two folders of runs or more; received 1"
    assert "expected folders of finished runs" in refusal([first, tmp_path / "none"], None)
    assert "have the same" in refusal([first, first], None)

    images = {**dataset, "test": {"size": 360, "checksum": "ef" * 32}}
    ask(make(tmp_path / "images", 11, dataset=images), 11)
    assert "runs on the same images" in refusal([first, tmp_path / "images"], None)

    ranged = {**dataset, "domain": {"lower": -1.0, "upper": 1.0}}
    ask(make(tmp_path / "ranged", 12, dataset=ranged), 12)
    assert "is of [0, 1], " in refusal([first, tmp_path / "ranged"], None)

    l2 = make(tmp_path / "l2", 13, flags={"threat": "l2"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(13))
        synthetic.write_attack(l2, "pgd-40x2", range(4, 10), threat="l2")
    words = "runs under the same threat; .* is of linf, .*l2 of l2"
    with pytest.raises(UserError, match=words):
        compare([first, l2], None, OPERATIONAL)


def test_radii_and_images_that_runs_do_not_share_are_refused(
    runs: list[Path], tmp_path: Path
) -> None:
    line = refusal(runs, [0.05, 0.3])
    assert line.startswith("epsilon: expected radii that all runs have records of, here 0.05; ")
    assert f"{runs[0]} has none of 0.3" in line

    folder = make(tmp_path / "last", 9, system="c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "NETWORK", network(9))
        synthetic.write_attack(folder, "pgd-40x2", (), tried=range(45, 60))
    line = refusal([runs[3], folder], None)
    assert line.endswith("have clean verdicts of at linf 0.05; there are none")


def test_damaged_records_are_named_with_their_run(runs: list[Path]) -> None:
    file = runs[1] / "records" / "linf-0.05" / "certify.jsonl"
    file.write_text(file.read_text().replace('"margin": -0.11', '"margin": -0.12', 1))
    assert f"expected a finished, undamaged run in {runs[1]}; " in refusal(runs, None)


def test_curves_are_of_the_same_images_at_all_radii(runs: list[Path]) -> None:
    for number, folder in ((0, runs[0]), (7, runs[3])):
        ask(folder, number, OTHER_EPS, broken=range(4, 20), loose=range(20, 30), tried=35)
    comparison = compare([runs[0], runs[3]], None, OPERATIONAL)
    curve = figures.curve(comparison, "certified")
    assert curve.images == 35
    counts = [[point["rate"]["count"] for point in line["points"]] for line in curve.by_run]
    assert counts == [[23, 5], [27, 5]]
    (axes,) = figures.accuracy_curve(comparison, curve).axes
    drawn = {line.get_gid(): list(line.get_ydata()) for line in axes.get_lines()}
    expected = {runs[0]: [23 / 35, 5 / 35], runs[3]: [27 / 35, 5 / 35]}
    assert drawn == {str(folder): pytest.approx(rates) for folder, rates in expected.items()}


def test_the_course_of_training_is_drawn_for_each_run(runs: list[Path]) -> None:
    history = (runs[0] / "history.jsonl").read_text().splitlines()
    (runs[3] / "history.jsonl").write_text(history[2] + "\n")
    figure = figures.training_curves(compare([runs[0], runs[3]], None, OPERATIONAL))
    clean = next(axes for axes in figure.axes if axes.get_title("left").startswith("clean"))
    course, single = clean.get_lines()
    assert (course.get_gid(), single.get_gid()) == (str(runs[0]), str(runs[3]))
    assert list(course.get_xdata()) == [0, 10, 20, 30, 40, 50]
    assert course.get_ydata() == pytest.approx([0.8 + 0.03 * epoch for epoch in range(6)])
    assert (list(single.get_ydata()), single.get_marker()) == ([pytest.approx(0.86)], "o")


def test_the_page_is_self_contained(runs: list[Path]) -> None:
    for number, folder in enumerate(runs[:2]):
        ask(folder, number, OTHER_EPS, broken=range(4, 20), loose=range(20, 30))
    text = page.page(compare(runs[:2], None, OPERATIONAL))
    assert text.count("data:image/svg+xml;base64,") == 3  # attacked, certified, training
    assert "http" not in text.replace("http-equiv", "")
    assert '<td class="n">77.5 ± 3.5</td>' in text
    assert "<td>digits/ibp</td>" in text
    assert f"<td>{runs[1]}</td>" in text
    alone = compare([runs[0], runs[3]], None, OPERATIONAL)
    assert page.page(alone).count("data:image/svg+xml;base64,") == 1  # one radius is no curve


def test_one_number_has_no_deviation() -> None:
    assert spread([0.5]) == (0.5, None)
    assert spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


def parsed(*words: str) -> tuple[list[str], flags.FlagValues]:
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    _, folders = parse_with_others(["compare", *words], [command.compare_group(values)], "")
    return folders, values


def test_flags_stand_before_between_and_after_folders(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "pages" / "comparison.html"
    words = ["--format=csv", str(runs[0]), "--epsilon=0.05", str(runs[3]), f"--html={html}"]
    folders, values = parsed(*words)
    assert folders == [str(runs[0]), str(runs[3])]
    command.compare(folders, values)
    out = capsys.readouterr().out
    assert [row["system"] for row in csv.DictReader(io.StringIO(out))] == [
        "digits/ibp",
        "digits/b_1",
    ]
    assert html.read_text().startswith("<!doctype html>")
    with pytest.raises(UserError, match="html: expected a file; received the folder"):
        command.compare(*parsed(str(runs[0]), str(runs[3]), f"--html={tmp_path}"))


def test_the_forms_of_the_command_are_those_that_exist() -> None:
    assert set(command.FORMATS) == set(tables.FORMATS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs/a", "runs/b", "--format=xls"], "one of markdown, csv, latex"),
        (["runs/a"], "runs: expected two folders of runs or more; received runs/a"),
    ],
)
def test_a_bad_command_gets_one_line(words: list[str], message: str) -> None:
    program = [sys.executable, "-m", "pipelines.compare", *words]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
