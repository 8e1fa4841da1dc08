"""The sampler of faults: what it plants, and which tests it asks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fault_tests import Suite
from benchmarks.faults import faults, planted

ROOT = Path(__file__).resolve().parent.parent
SOURCE = '''
def f(values, lower):
    """Returns -1."""
    if not values or lower[0] <= 2.0:
        raise ValueError(f"expected {1 + 1} values")
    pairs = zip(values, values, strict=True)
    return min(values) - 3 if all(pairs) else lower
'''
CHANGES = {
    "not values or lower[0] <= 2.0 -> not values and lower[0] <= 2.0",
    "not values -> not not values",
    "lower[0] <= 2.0 -> lower[0] < 2.0",
    "0 -> 1",
    "2.0 -> 0.5",
    "lower -> upper",
    "min -> max",
    "min(values) - 3 -> min(values) + 3",
    "3 -> 4",
    "all -> any",
    "the other value",
}


def test_each_fault_is_one_change_and_no_message_is_one(tmp_path):
    path = tmp_path / "f.py"
    path.write_text(SOURCE)
    all_faults = faults(path, tmp_path)
    assert {fault.change for fault in all_faults} == CHANGES
    texts = {planted(SOURCE, fault) for fault in all_faults}
    assert len(texts) == len(all_faults)
    assert ast.unparse(ast.parse(SOURCE)) + "\n" not in texts
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    for text in texts:
        changed = [a for a, b in zip(before, text.splitlines(), strict=True) if a != b]
        assert len(changed) == 1


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("rt_tf/bounds/rounding.py", "tests/bounds/test_error_model.py"),
        ("rt_tf/attacks/blackbox/square.py", "tests/attacks/test_square.py"),
    ],
)
def test_the_tests_that_import_a_file_are_asked_first(path, first):
    assert Suite(ROOT).of(path)[0] == first


def test_tests_in_processes_of_their_own_are_asked_too():
    assert "tests/training/test_mirrored.py" in Suite(ROOT).of("rt_tf/training/model.py")


ENDINGS = {
    "def test_passes(): pass": "survived",
    "def test_fails(): assert False": "found test_tiny.py::test_fails",
    "def test_endless():\n    while True: pass": "found test_tiny.py::test_endless",
    "import os\ndef test_crashes(): os._exit(3)": "found exit status 3",
    "import signal\nsignal.raise_signal(signal.SIGXCPU)": "out of time",
}
ASKED = """import sys; from pathlib import Path; from benchmarks import planted_faults as planted
planted.ENDLESS = 2; print(*planted._ended(Path(sys.argv[1]), ["test_tiny.py"], 40))"""


@pytest.mark.parametrize("source", ENDINGS)
def test_a_test_that_fails_crashes_or_does_not_end_finds_the_fault(tmp_path, source):
    (tmp_path / "rt_tf").mkdir()
    (tmp_path / "rt_tf" / "__init__.py").touch()
    (tmp_path / "test_tiny.py").write_text(source)
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\nmarkers =\n    slow: long\n")
    command = [sys.executable, "-c", ASKED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().startswith(ENDINGS[source])
