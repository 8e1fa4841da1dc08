"""Fixtures of the reporting tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.synthetic import write_three_radii


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The run with three radii; at the smallest, attack and certificate saw different samples."""
    return write_three_radii(tmp_path / "run")
