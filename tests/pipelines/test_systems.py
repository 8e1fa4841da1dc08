"""Systems that are more than settings of one phase, from the command to the report."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.reporting import export
from rt_tf.reporting.summary import main_question
from tests.pipelines.conftest import command, report_of


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory, small: tuple[str, ...]) -> Path:
    """A finished run of a cascade of two members."""
    folder = tmp_path_factory.mktemp("runs") / "cascade"
    flags = ("--new_member=false,true", "--epochs=12,12", "--learning_rate=0.005")
    result = command("train", *small, *flags, f"--model_dir={folder}", "--eval_attack=pgd")
    assert result.returncode == 0, result.stderr
    return folder


def test_a_cascade_is_certified_member_by_member(cascade: Path) -> None:
    question = main_question(report_of(cascade))
    assert question["clean"]["count"] >= question["attacked"]["count"]
    assert question["attacked"]["count"] >= question["certified"]["count"] > 0
    rungs = {rung["rung"]: rung for rung in question["certificate"]["rungs"]}
    assert "interval, member 1" in rungs
    assert "interval, member 2" in rungs


def test_a_cascade_is_served_as_one_model(cascade: Path) -> None:
    served = export.load(cascade / "export")
    images = tf.constant(np.random.default_rng(0).random((4, 8, 8, 1)), tf.float32)
    answer = served.certify(images, tf.constant(0.01))
    assert set(answer) == {"label", "certified", "margin"}
    np.testing.assert_array_equal(answer["label"], served.serve(images)["label"])
    rows = [json.loads(line) for line in (cascade / "history.jsonl").read_text().splitlines()]
    assert rows[-1]["steering"]["member"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "system",
    ["imagenet/fgsm", "cifar10/dat", "cifar100/dat", "cifar10/fgsm", "svhn_cropped/provable"],
)
def test_what_cannot_be_trained_here_takes_steps_on_made_up_data(
    system: str, tmp_path: Path
) -> None:
    few = ("--batch_size=2", f"--data_dir={tmp_path}", f"--model_dir={tmp_path / 'run'}")
    result = command("train", f"--flagfile=configs/{system}.cfg", "--dry_run", *few)
    assert result.returncode == 0, result.stderr
    assert "measured on made-up images" in result.stdout
    assert "nothing was written" in result.stdout
    assert list(tmp_path.iterdir()) == []
