"""The script `rt-tf`, and the calls that commands tell."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import commands
from rt_tf.command_line import called

ROOT = Path(__file__).parents[2]
SCRIPT = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
from pipelines.commands import main
main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script as `pip` writes it, by another name for the folder of this project's code."""
    path = tmp_path_factory.mktemp("bin") / "rt-tf"
    path.write_text(SCRIPT)
    return path


def rt_tf(script: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture
def shadowed(tmp_path: Path) -> Path:
    """A folder with modules by the names of this project's."""
    for name in ("pipelines", "rt_tf", "configs"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    return tmp_path


def test_help_lists_every_command(script: Path, shadowed: Path) -> None:
    result = rt_tf(script, "--help", cwd=shadowed)
    assert (result.returncode, result.stderr) == (0, "")
    modules = {path.stem for path in ROOT.glob("pipelines/*.py") if "__main__" in path.read_text()}
    assert set(re.findall(r"^  (\w+) +\S", result.stdout, re.MULTILINE)) == modules


def test_the_version_is_told(script: Path, shadowed: Path) -> None:
    assert rt_tf(script, "--version", cwd=shadowed).stdout.startswith("rt_tf ")


@pytest.mark.parametrize(("arguments", "received"), [(["trian"], "'trian'"), ([], "none")])
def test_an_unknown_command_gets_one_line(
    arguments: list[str], received: str, script: Path, shadowed: Path
) -> None:
    result = rt_tf(script, *arguments, cwd=shadowed)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "error: command: expected one of train, certify, " in result.stderr
    assert f"received {received}" in result.stderr


def test_a_command_is_reached_with_its_flags(script: Path, shadowed: Path) -> None:
    result = rt_tf(script, "train", "--flagfile=digits/ipb", cwd=shadowed)
    assert result.returncode == 2
    assert "nearest: digits/ibp" in result.stderr


def test_help_of_a_command_tells_its_call(script: Path, shadowed: Path) -> None:
    help_text = rt_tf(script, "certify", "--help", cwd=shadowed).stdout
    assert "  rt-tf certify --model_dir=runs/digits/ibp --epsilon=0.02,0.08" in help_text
    assert "python -m" not in help_text


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_no_command_imports_tensorflow_to_begin(name: str) -> None:
    code = f"import sys, pipelines.commands, pipelines.{name}; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_calls_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called("certify") == "python -m pipelines.certify"
    monkeypatch.setattr(sys, "argv", ["/opt/env/bin/rt-tf", "train"])
    assert called("certify") == "rt-tf certify"


def test_calls_are_made_in_one_place() -> None:
    told = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("pipelines", "rt_tf")
        for path in ROOT.glob(f"{folder}/**/*.py")
        for line in path.read_text().splitlines()
        if re.search(r"-m pipelines\.", line) and not re.match(r'""".*`|    .*`', line)
    }
    assert {text.split(":")[0] for text in told} == {
        "rt_tf/command_line.py",
        "rt_tf/reporting/claim.py",  # which is read elsewhere, and names both calls
    }
