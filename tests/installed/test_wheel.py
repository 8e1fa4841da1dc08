"""The wheel, in an environment of its own and from an empty folder, does what the checkout does."""

import json
from pathlib import Path

import pytest

from tests.installed.conftest import ROOT, Environment

pytestmark = pytest.mark.slow

SHORT = ("--epochs=3", "--warmup_epochs=0", "--epsilon_ramp_epochs=1", "--decay_epochs=2")


@pytest.fixture(scope="module")
def run(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits job, from an empty folder but for the user's own `pipelines.py`."""
    cwd = tmp_path_factory.mktemp("work")
    (cwd / "pipelines.py").write_text("raise SystemExit('the wrong one')\n")
    job = ("train", "--flagfile=digits/ibp", "--model_dir=run")
    printed = environment.must("rt-tf", *job, cwd=cwd)
    assert "next:" in printed
    assert "  rt-tf certify --model_dir=run --epsilon=<radius>" in printed
    assert "python -m" not in printed
    return cwd / "run"


def test_every_file_of_the_packages_is_in_it(environment: Environment) -> None:
    for folder, place in (
        ("rt_tf", "rt_tf"),
        ("pipelines", "pipelines"),
        ("configs", "pipelines/configs"),
    ):
        ours = {path.relative_to(ROOT / folder) for path in _files(ROOT / folder)}
        installed = _files(environment.packages() / place)
        theirs = {path.relative_to(environment.packages() / place) for path in installed}
        assert ours <= theirs, folder
    assert not (environment.packages() / "configs").exists()


def _files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert found
    return found


def test_training_ends_with_a_report_and_is_as_good_as_ever(run: Path) -> None:
    report = json.loads((run / "report" / "report.json").read_text())
    (question,) = [q for q in report["questions"] if q["name"] == "linf-0.05"]
    assert question["certified"]["rate"] > 0.9
    assert (run / "report" / "report.html").read_text().startswith("<!doctype html>")


def test_certify_answers_at_another_radius(run: Path, environment: Environment) -> None:
    asked = ("certify", f"--model_dir={run.name}", "--epsilon=0.02", "--samples=50")
    assert "linf 0.02" in environment.must("rt-tf", *asked, cwd=run.parent)


def test_tune_finds_its_space(run: Path, environment: Environment) -> None:
    search = ("--space=digits/space.json", "--trials=2", "--model_dir=search", *SHORT)
    printed = environment.must("rt-tf", "tune", "--flagfile=digits/ibp", *search, cwd=run.parent)
    assert "rt-tf train --flagfile=search/best.cfg" in printed


def test_the_export_serves(run: Path, environment: Environment) -> None:
    served = (f"--export={run}/export", "--eps=0.05")
    printed = environment.must(
        "python", str(ROOT / "examples" / "serve.py"), *served, cwd=run.parent
    )
    assert printed.count("its class holds within") == 10
    assert "a 0: 0;" in printed


def test_an_unknown_system_is_refused(environment: Environment, tmp_path: Path) -> None:
    result = environment.run("rt-tf", "train", "--flagfile=digits/ipb", cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "nearest: digits/ibp;" in result.stderr


def test_an_editable_installation_finds_the_same(environment: Environment, tmp_path: Path) -> None:
    """The last test, as it puts the checkout in the wheel's place."""
    again = ("install", "-q", "--no-deps", "--force-reinstall", "-e", str(environment.source))
    environment.must("pip", *again, cwd=tmp_path)
    assert not (environment.packages() / "pipelines").exists()
    printed = environment.must("rt-tf", "train", "--help", cwd=tmp_path)
    assert "  mnist/goal_01 " in printed
    named = ("--flagfile=mnist/goal_01", "--flagfile=configs/mnist/goal_01.cfg")
    for flag in named:
        result = environment.run(
            "rt-tf", "train", flag, "--epsilon=5", "--model_dir=x", cwd=tmp_path
        )
        assert "epsilon: expected a radius" in result.stderr
