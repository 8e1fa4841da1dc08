"""A virtual environment, outside the checkout, with this project's wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKED = ("rt_tf", "pipelines", "configs", "setup.py", "setup.cfg", "pyproject.toml")
PACKED += ("README.md", "LICENSE")


class Environment(NamedTuple):
    """A virtual environment. source: the copy of the checkout that its wheel was built from."""

    folder: Path
    source: Path

    def run(self, name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs a script of the environment to its end, as a user does in a shell of its own."""
        command = [str(self.folder / "bin" / name), *arguments]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment["TFDS_DATA_DIR"] = str(self.folder / "data")
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900
        )

    def must(self, name: str, *arguments: str, cwd: Path) -> str:
        """The output of a script that must succeed."""
        result = self.run(name, *arguments, cwd=cwd)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def packages(self) -> Path:
        """The folder of installed packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel that is built from the sdist, and what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    made = Environment(folder / "environment", folder / "source")
    _copy(made.source)
    subprocess.run([sys.executable, "-m", "venv", made.folder], check=True)
    if made.run("pip", "download", "-q", "--no-deps", "setuptools>=77", cwd=folder).returncode:
        pytest.skip("no package index: expected one to install the wheel's dependencies from")
    made.must("pip", "install", "-q", "build", cwd=folder)
    made.must("python", "-m", "build", "--outdir", str(folder / "dist"), "source", cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    made.must("pip", "install", "-q", str(wheel), cwd=folder)
    return made


def _copy(to: Path) -> None:
    """Copies what a distribution is built from, without what earlier builds have left."""
    to.mkdir()
    for name in PACKED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, to)
