"""What the README and docs/ promise: their Python runs, their flags exist, the reference names what
there is, the results are those that are kept.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags as absl_flags

from benchmarks import campaign, systems
from pipelines import certify, check, draw, evaluate, export, radius, tune, verify
from pipelines.flags import parsing, run
from pipelines.flags.cluster import cluster_group
from pipelines.flags.run import run_group
from rt_tf import catalogue

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()
KEPT = sorted([*systems.RESULTS.glob("*.json"), *campaign.RESULTS.glob("*.json")])
GOALS = ["mnist/goal_01", "mnist/goal_03"]
FIVE = [*GOALS, "mnist/mtl_ibp-short", "mnist/sabr_03-short", "mnist/pgd-short"]
PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
PAGES.append((ROOT / "CONTRIBUTING.md").read_text())
COMMANDS = [
    command
    for page in PAGES
    for command in re.findall(r"(?:python -m pipelines\.|rt-tf )(\w+) +(--[^\n`#]*)", page)
    if "<radius>" not in command[1]
]
OF_A_RESULT = {"download", "eval_loss"}  # it was attacked on the loss that it names
GROUPS = {
    "train": run.training_groups,
    "certify": lambda v: [make(v) for make in certify.GROUPS],
    "evaluate": lambda v: [make(v) for make in evaluate.GROUPS],
    "tune": lambda v: [tune.tune_group(v), cluster_group(v), *run.training_groups(v)],
    "export": lambda v: [make(v) for make in export.GROUPS],
    "draw": lambda v: [run_group(v), draw.draw_group(v)],
    "radius": lambda v: [make(v) for make in radius.GROUPS],
    "check": lambda v: [check.check_group(v)],
    "verify": lambda v: [verify.verify_group(v), cluster_group(v)],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.slow
def test_its_python_runs(tmp_path: Path) -> None:
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line]) < 12
    run = 'rt_tf.load("runs/digits/ibp").model'
    assert run in code
    network = """
import keras
network = keras.Sequential(
    [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
)
"""
    program = network + code.replace(run, "network")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "certified" in done.stdout
    assert (tmp_path / "report" / "report" / "report.html").exists()
    assert (tmp_path / "served" / "saved_model.pb").exists()


@pytest.mark.parametrize(("module", "arguments"), COMMANDS)
def test_commands_have_flags_that_exist(
    module: str, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")  # what a job's script finds
    values = absl_flags.FlagValues()
    groups = GROUPS[module](values)
    words = [
        w.replace("<your TFDS folder>", "folder")
        for w in shlex.split(arguments.replace("<your TFDS folder>", "folder"))
    ]
    if not {"--help", "--helpshort"} & set(words):
        parsing.parse(["x", *words], groups, "")


def test_commands_were_found() -> None:
    assert {module for module, _ in COMMANDS} == set(GROUPS)


def test_tables_name_what_there_is() -> None:
    for table in catalogue.TABLES.values():
        for name in table:
            assert f"`{name}`" in REFERENCE, name


def test_files_that_are_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:rt_tf|pipelines|configs|benchmarks)/[\w/]+\.\w+)`", page):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("names", [systems.short_systems(), GOALS], ids=["short", "goals"])
def test_results_are_those_that_are_kept(names: list[str]) -> None:
    assert systems.table(names) in RESULTS


def test_the_readme_has_five_of_them() -> None:
    assert systems.table(FIVE) in README


def test_every_short_system_has_a_result() -> None:
    for name in systems.short_systems():
        assert systems.place(name, 0).exists(), name


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_results_are_of_the_flag_files_as_they_are(path: Path) -> None:
    kept = json.loads(path.read_text())
    values = absl_flags.FlagValues()
    groups = run.training_groups(values)
    parsing.parse(["x", f"--flagfile={ROOT}/configs/{kept['system']}.cfg"], groups, "")
    now = run.frozen(values, groups) | {"epsilon": values.epsilon, "seed": str(kept["seed"])}
    shared = {name for name in kept["flags"] if now.get(name) is not None}
    named = shared - OF_A_RESULT
    differ = {name for name in named if not run.same(name, kept["flags"][name], now[name])}
    assert not differ
    assert kept["flags"]["eval_loss"] in catalogue.LOSSES


def test_a_row_of_seeds_has_the_least_and_the_greatest() -> None:
    kept = json.loads(systems.place(GOALS[0], 0).read_text())
    kept |= {"hardware": {"cores": 2}, "training_cpu_seconds": 30.0}
    rates = [{"certified": kept["certified"] | {"rate": rate}} for rate in (0.95, 0.9, 0.92)]
    times = [{"training_seconds": seconds} for seconds in (60, 120, 90)]
    runs = [kept | rate | time for rate, time in zip(rates, times, strict=True)]
    assert systems.row(runs).endswith("| 90.0 to 95.0 | 10,000 | 1.0 to 2.0 | 2 |")
    assert systems.row(runs[:1]).endswith("| 95.0 | 10,000 | 1.0 | 2 |")
    alone = runs[0] | {"hardware": {"cores": 1}}  # where other jobs made it longer by the clock
    assert systems.row([alone]).endswith("| 95.0 | 10,000 | 0.5 | 1 |")
