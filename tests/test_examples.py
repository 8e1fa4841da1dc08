"""The examples run as they are, the notebook's outputs are kept, and the site is built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "certify_your_model.ipynb"


def run(folder: Path, *words: str) -> str:
    """What a command prints, run in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_examples_are_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


@pytest.mark.slow
def test_your_data_are_trained_on_and_reported(tmp_path: Path) -> None:
    printed = run(tmp_path, sys.executable, str(EXAMPLES / "train_your_data.py"), "--epochs=20")
    assert "certified" in printed
    assert (tmp_path / "runs" / "mine" / "report" / "report.html").exists()


@pytest.mark.slow
def test_attacks_get_further_one_after_another(tmp_path: Path) -> None:
    lines = run(tmp_path, sys.executable, str(EXAMPLES / "attack.py")).splitlines()
    shares = {line.split()[0]: float(line.split()[1]) for line in lines if "% withstand" in line}
    assert shares["fgsm"] >= shares["pgd"] >= shares["apgd"] - 2.0
    assert shares["apgd"] < 90.0


@pytest.mark.slow
def test_a_service_abstains_or_answers(tmp_path: Path) -> None:
    import keras

    import rt_tf

    layers = [keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    rt_tf.export(model, tmp_path / "served")
    served = (f"--export={tmp_path / 'served'}", "--eps=0.001")
    printed = run(tmp_path, sys.executable, str(EXAMPLES / "serve.py"), *served)
    assert printed.count("its class holds within") == 10


@pytest.mark.slow
def test_the_notebook_runs_and_keeps_its_figures() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, 4)
    kept = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in kept) == 2
    nbclient.NotebookClient(notebook, timeout=600).execute()


@pytest.mark.slow
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings")
    site = str(tmp_path / "site")
    run(ROOT, sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site)
    assert (tmp_path / "site" / "index.html").exists()
    page = (tmp_path / "site" / "python" / "index.html").read_text()
    assert "certified_radius" in page
