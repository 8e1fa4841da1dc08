"""The Python door: it gives what commands and rungs give, and refuses in one line."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import rt_tf
from rt_tf.api import attacks, certification, reports, training
from rt_tf.certification.ladder import Ladder
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

N, EPS = 12, 0.03
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return networks.build("dense", 0)


@pytest.fixture(scope="module")
def data(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Images and their labels, of which the network gives two others."""
    images = networks.images(model.input_shape[1:], N)
    labels = model(images).numpy().argmax(axis=1)
    labels[:2] = (labels[:2] + 1) % networks.CLASSES
    return images, labels


@pytest.mark.parametrize("module", [attacks, certification, reports, training])
def test_the_examples_of_docstrings_hold(module) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_it_certifies_as_the_ladder_does(model: keras.Model, data: tuple) -> None:
    images, labels = data
    rungs = ["attack", "interval", "crown"]
    result = rt_tf.certify(model, images, labels, EPS, rungs=rungs, **QUIET)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    ladder = Ladder(trace(model), Linf(), rungs)
    expected = {2 + k: findings for k, findings in ladder.climb(images[2:], labels[2:], EPS)}
    assert result.verdicts[:2].tolist() == ["falsified"] * 2
    for k, findings in expected.items():
        by = [name for name, finding in findings.items() if finding.certified]
        assert result.certified[k] == bool(by)
        assert result.rungs[k] == (by[0] if by else None)
        if by:
            assert result.margins[k] == pytest.approx(findings[by[0]].margin)
    assert 0 < result.certified.sum() < N
    assert result.certified_accuracy == result.certified.mean()
    assert result.clean_accuracy == (N - 2) / N


def test_what_is_certified_withstands_and_what_breaks_is_inside(
    model: keras.Model, data: tuple
) -> None:
    images, labels = data
    eps = 0.2
    result = rt_tf.certify(model, images, labels, eps, norm=2, **QUIET)
    broken = rt_tf.attack(model, images, labels, eps, norm=2, steps=20, **QUIET)
    assert broken.success.any()
    assert not (result.certified & broken.success).any()
    answers = model(broken.adversarial).numpy().argmax(axis=1)
    np.testing.assert_array_equal(broken.success, answers != labels)
    moved = np.isfinite(broken.distances)
    region = Region(L2(), tf.constant(images[moved]), eps)
    assert region.inside(tf.constant(broken.adversarial[moved])).numpy().all()
    assert result.threat == broken.threat == "l2"


def test_a_suite_is_every_attack_of_it(model: keras.Model, data: tuple) -> None:
    broken = rt_tf.attack(model, *data, 0.1, suite="quick", **QUIET)
    one = rt_tf.attack(model, *data, 0.1, method="fgsm", start="zero", **QUIET)
    assert (broken.success >= one.success).all()
    assert {name.split("-")[0] for name in broken.methods if name} <= {
        *("fgsm", "pgd", "uniform_noise", "gaussian_noise")
    }


def test_a_radius_for_each_feature(model: keras.Model, data: tuple) -> None:
    """A feature that is fixed does not move, and the others by no more than their radii."""
    images, labels = data
    radii = np.zeros(images.shape[1:])
    radii[0] = 0.3
    broken = rt_tf.attack(model, images, labels, radii, steps=20, **QUIET)
    moves = np.abs(broken.adversarial - images)
    assert moves.any()
    assert (moves <= radii * (1 + 1e-6)).all()
    whole = rt_tf.certify(model, images, labels, radii, **QUIET)
    assert not (whole.certified & broken.success).any()
    assert whole.certified.sum() >= rt_tf.certify(model, *data, 0.3, **QUIET).certified.sum()


@pytest.mark.slow
def test_radii_are_certified_below_them_and_not_far_above(model: keras.Model, data: tuple) -> None:
    images, _ = data
    result = rt_tf.certified_radius(model, images, tolerance=0.02, rungs=["crown"], **QUIET)
    radii = np.asarray(result)
    np.testing.assert_array_equal(result.predictions, model(images).numpy().argmax(axis=1))
    for k in range(3):
        below, above = 0.99 * radii[k], 1.1 * radii[k]
        one = images[k : k + 1]
        assert rt_tf.certify(model, one, eps=below, rungs=["crown"], **QUIET).certified.all()
        assert not rt_tf.certify(model, one, eps=above, rungs=["crown"], **QUIET).certified.any()


@pytest.mark.parametrize("batched", [False, True])
def test_datasets_are_arrays(model: keras.Model, data: tuple, batched: bool) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(data)
    dataset = dataset.batch(5) if batched else dataset
    one = rt_tf.certify(model, dataset, eps=EPS, rungs=["crown"], **QUIET)
    other = rt_tf.certify(model, *data, EPS, rungs=["crown"], **QUIET)
    np.testing.assert_array_equal(one.verdicts, other.verdicts)
    np.testing.assert_array_equal(one.labels, data[1])


def test_results_are_shown_in_a_line(model: keras.Model, data: tuple) -> None:
    one = rt_tf.certify(model, *data, EPS, rungs=["crown"], **QUIET)
    proved = f"{one.certified.sum()} of {len(data[1])} examples certified"
    assert repr(one) == f"<Certification: linf {EPS}, {proved}>"
    broken = rt_tf.attack(model, *data, EPS, method="fgsm", **QUIET)
    left = f"{(~broken.success).sum()} of {len(data[1])} examples withstand"
    assert repr(broken) == f"<AttackResult: linf {EPS}, {left}>"
    radii = certification.CertifiedRadii(
        "l2", np.array([0.1, 0.2, 0.4]), np.array([]), np.array([])
    )
    assert repr(radii) == "<CertifiedRadii: l2, 3 examples, median 0.2>"


def test_records_are_kept_and_taken_up(model: keras.Model, data: tuple, tmp_path: Path) -> None:
    first = rt_tf.certify(model, *data, EPS, rungs=["crown"], path=tmp_path, **QUIET)
    file = tmp_path / "linf-0.03" / "certify.jsonl"
    before = file.read_bytes()
    again = rt_tf.certify(model, *data, EPS, rungs=["crown"], path=tmp_path, **QUIET)
    assert file.read_bytes() == before
    np.testing.assert_array_equal(first.margins, again.margins)


def test_a_table_is_reported_exported_and_loaded(tmp_path: Path) -> None:
    """Of unlimited features, whose report has no pictures."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0.0, 3.0, (40, 5)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(np.int64)
    net = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    net.layers[0].kernel.assign(np.outer([1, 0, 0, 0, 0], [-1, 1]))
    report = rt_tf.report(net, (rows, labels), 0.5, tmp_path / "r", domain=None, **QUIET)
    (question,) = report["questions"]
    assert question["clean"]["count"] == 40
    assert question["certified"]["count"] == (np.abs(rows[:, 0]) > 0.5).sum()
    assert question["attacked"]["count"] == question["certified"]["count"]
    page = (tmp_path / "r" / "report" / "report.html").read_text()
    assert "linf 0.5" in page
    run = rt_tf.load(tmp_path / "r")
    assert run.report == json.loads(json.dumps(report))
    assert len(run.records[0].rows) == 40
    np.testing.assert_allclose(run.model(rows), net(rows))
    served = tf.saved_model.load(str(rt_tf.export(run, tmp_path / "served")))
    answer = served.certify(tf.constant(rows), tf.constant(0.5))
    assert answer["certified"].numpy().sum() == question["certified"]["count"]
    with pytest.raises(UserError, match="path: .* of this model and these examples"):
        rt_tf.report(net, (rows[:9], labels[:9]), 0.5, tmp_path / "r", domain=None, **QUIET)


def test_full_products_are_used_inside_and_the_setting_comes_back(
    model: keras.Model, data: tuple
) -> None:
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        rt_tf.certify(model, *data, EPS, rungs=["interval"], **QUIET)
        assert tf.config.experimental.tensor_float_32_execution_enabled()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(False)


IMAGES = np.full((3, *networks.SHAPE), 0.5, np.float32)
LABELS = np.zeros(3, np.int64)
WRONG = [
    ({"eps": None}, "eps: expected a radius"),
    ({"eps": 0.0}, "eps: expected a radius in (0, 1] for linf; received 0"),
    ({"eps": "x"}, "eps: expected a finite number above 0; received 'x'"),
    ({"eps": [0.1, -0.1]}, "eps: expected finite radii"),
    ({"eps": np.ones(3), "norm": 2}, "eps: expected a number for l2; received an array"),
    ({"images": IMAGES[:, :2]}, "images: expected numbers of shape"),
    ({"images": IMAGES[:0], "labels": LABELS[:0]}, "images: expected at least one"),
    ({"images": IMAGES + 2.0}, "images: expected values within the domain [0, 1]; received 2.5"),
    ({"images": "x"}, "images: expected numbers of shape"),
    ({"labels": LABELS + 99}, "labels: expected 0 to"),
    ({"labels": LABELS[:2]}, "labels: expected a whole number for each of 3 images"),
    ({"labels": LABELS + 0.5}, "labels: expected a whole number"),
    ({"threat": "l7"}, "threat: expected one of linf"),
    ({"threat": "wasserstein"}, "threat: expected one that bounds answer to"),
    ({"norm": 3}, "norm: expected inf, 2 or 1; received 3"),
    ({"norm": 2, "threat": "l2"}, "norm: expected none with threat='l2'"),
    ({"rungs": ["none"]}, "bound: expected one of"),
    ({"domain": (1, 0)}, "domain: expected lower ends"),
    ({"model": "net.keras"}, "model: expected a Keras model or a RobustModel"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_does_not_fit_is_one_line(model: keras.Model, changes: dict, message: str) -> None:
    arguments = {"model": model, "images": IMAGES, "labels": LABELS, "eps": 0.1, **QUIET, **changes}
    with pytest.raises(UserError, match=f"^{re.escape(message)}[^\n]*$"):
        rt_tf.certify(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "pdg"}, "attack: expected one of"),
        ({"suite": "slow"}, "suite: expected one of quick"),
        ({"loss": "mse"}, "loss: expected one of"),
        ({"method": "msd"}, "attack: expected one for linf"),
        ({"suite": "quick", "steps": 9}, "steps: expected none with suite='quick'"),
        ({"suite": "quick", "method": "pgd"}, "method: expected none with suite='quick'"),
        ({"method": "square", "loss": "ce"}, "loss: expected none with the attack square"),
    ],
)
def test_attacks_that_there_are_not_are_one_line(
    model: keras.Model, changes: dict, message: str
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}[^\n]*$"):
        rt_tf.attack(model, IMAGES, LABELS, 0.1, **QUIET, **changes)


def test_importing_it_is_quick_and_takes_no_tensorflow() -> None:
    program = """
import sys, time
began = time.perf_counter()
import rt_tf
assert time.perf_counter() - began < 0.2
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
offered = {"certify", "attack", "certified_radius", "fit", "report", "export", "load"}
assert offered <= set(dir(rt_tf))
assert not hasattr(rt_tf, "nonsense")
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=True)
