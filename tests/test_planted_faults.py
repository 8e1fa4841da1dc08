"""The sampler of faults: what it plants, and which tests it asks."""

import ast
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
    return min(values) - 3 if all(values) else lower
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
    found = faults(path, tmp_path)
    assert {fault.change for fault in found} == CHANGES
    texts = {planted(SOURCE, fault) for fault in found}
    assert len(texts) == len(found)
    assert ast.unparse(ast.parse(SOURCE)) + "\n" not in texts
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    for text in texts:
        changed = [a for a, b in zip(before, text.splitlines(), strict=True) if a != b]
        assert len(changed) == 1


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("rt_tf/bounds/rounding.py", "tests/bounds/test_error_model.py"),
        ("rt_tf/attacks/square.py", "tests/attacks/test_square.py"),
    ],
)
def test_the_tests_that_import_a_file_are_asked_first(path, first):
    assert Suite(ROOT).of(path)[0] == first
