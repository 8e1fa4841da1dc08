"""Runs whose networks read pixels of another range than [0, 1], from training to what is served."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rt_tf import data
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.records import merge
from rt_tf.reporting.summary import main_question
from rt_tf.serving import saved_model
from tests.pipelines.conftest import report_of, run, trained

HERE = ("--input_range=-1,1", "--epsilon=0.06", "--epochs=15", "--kappa=0.3", "--curve=0")
HERE += ("--learning_rate=0.005",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, small: tuple[str, ...]) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "range"
    return trained(folder, *small, *HERE)


def test_all_of_a_run_is_in_the_network_s_own_range(finished: Path, digits_dir: Path) -> None:
    """What is certified withstands the corners of its box, which reach below 0 and above 1."""
    report = report_of(finished)
    question = main_question(report)
    assert question["domain"] == {"lower": -1.0, "upper": 1.0}
    assert "pixels staying in [-1, 1]" in report["claim"]["threat"]
    assert question["clean"]["count"] >= question["attacked"]["count"]
    assert question["attacked"]["count"] >= question["certified"]["count"] > 10
    header, rows = merge.read(finished / "records" / "linf-0.06" / "certify.jsonl")
    assert header["domain"] == {"lower": -1.0, "upper": 1.0}
    served = saved_model.load(finished / "export")
    test = data.load("digits", digits_dir, domain=Domain(-1.0, 1.0)).test
    certified = [row["index"] for row in rows if row["verdict"] == "certified"]
    x = test.images()[certified]
    assert x.min() == -1.0
    signs = np.sign(np.random.default_rng(0).standard_normal((50, *x.shape)))
    points = np.clip(x + 0.0599 * signs, -1.0, 1.0).astype(np.float32)
    labels = served.serve(points.reshape(-1, 8, 8, 1))["label"].numpy().reshape(50, -1)
    assert (labels == test.labels[certified]).all()


def test_what_is_served_certifies_inside_of_the_range_alone(finished: Path) -> None:
    served = saved_model.load(finished / "export")
    x = np.zeros((3, 8, 8, 1), np.float32)
    x[1], x[2, 0, 0, 0] = -1.0, -1.001
    margins = served.certify(x, tf.constant(0.0))["margin"].numpy()
    assert np.isfinite(margins).tolist() == [True, True, False]
    assert np.isfinite(served.certify(x[:1], tf.constant(2.0))["margin"]).all()
    assert not np.isfinite(served.certify(x[:1], tf.constant(2.1))["margin"]).any()


def test_proofs_of_another_range_are_checked(finished: Path) -> None:
    from pipelines.check import main

    with pytest.raises(SystemExit) as ended:
        main(["check", f"--proofs={finished / 'proofs'}", "--samples=5"])
    assert ended.value.code == 0


def test_a_radius_is_limited_by_the_range(finished: Path) -> None:
    with pytest.raises(
        UserError, match=r"in \(0, 2\] for linf and inputs in \[-1, 1\]; received 3"
    ):
        run("certify", f"--model_dir={finished}", "--epsilon=3", "--samples=1")
