"""The files of constraints hold the versions that setup.cfg allows."""

import configparser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def requirements() -> list[Requirement]:
    """All that `.[test]` asks for."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    text = config["options"]["install_requires"] + config["options.extras_require"]["test"]
    lines = [line.strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned(name: str) -> dict[str, str]:
    """The versions in a file of constraints, by the packages' names."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(n): v for n, v in (line.split("==") for line in lines)}


def test_tested_versions_are_allowed() -> None:
    tested = pinned("constraints.txt")
    for asked in requirements():
        assert asked.specifier.contains(tested[canonicalize_name(asked.name)]), asked


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    lower = {
        canonicalize_name(asked.name): bound.version
        for asked in requirements()
        for bound in asked.specifier
        if bound.operator in (">=", "~=")
    }
    assert pinned("constraints-oldest.txt") == lower
