"""Runs around networks that come as ONNX files."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from onnx.reference import ReferenceEvaluator

from rt_tf import data
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from tests.interchange.files import node, normal, save
from tests.pipelines.conftest import report_of, run


def classifier(path: Path, end: str = "Softmax") -> Path:
    """A convolution and two dense layers over the digits' 8 x 8 pixels in [0, 16]."""
    weights = {"k": normal(4, 1, 3, 3), "w": normal(144, 20, seed=1, size=0.1)}
    weights |= {"v": normal(20, 10, seed=2), "o": np.float32([-8.0])}
    nodes = [node("Add", "x o", "a"), node("Conv", "a k", "z"), node("Relu", "z", "h")]
    nodes += [node("Flatten", "h", "f"), node("MatMul", "f w", "u"), node("Relu", "u", "g")]
    return save(
        path, [*nodes, node("MatMul", "g v", "s"), node(end, "s", "y")], weights, (1, 1, 8, 8)
    )


def flags_for(file: Path, folder: Path, data_dir: Path) -> list[str]:
    places = [f"--onnx_file={file}", f"--model_dir={folder}", f"--data_dir={data_dir}"]
    question = ["--epsilon=0.008", "--samples=20", "--rungs=interval"]
    return [*places, "--dataset=digits", "--input_range=0,16", *question]


def test_a_run_is_made_around_an_onnx_file(tmp_path: Path, digits_dir: Path) -> None:
    """What is served is what the file computes of the images; another file is refused then."""
    file = classifier(tmp_path / "my.onnx")
    run("certify", *flags_for(file, tmp_path / "run", digits_dir))
    report = report_of(tmp_path / "run")
    origin = report["model"]["given"]
    assert (origin["file"], report["system"]) == ("my.onnx", "my")
    assert [note.split()[:3] for note in origin["notes"]] == [["the", "final", "softmax"]]
    test = data.load("digits", digits_dir, domain=Domain(0.0, 16.0)).test
    images, labels = test.images()[:20], test.labels[:20]
    evaluator = ReferenceEvaluator(str(file))
    wanted = np.stack(
        [evaluator.run(None, {"x": x[np.newaxis, ..., 0][None]})[0][0] for x in images]
    )
    served = tf.saved_model.load(str(tmp_path / "run" / "export"))
    probabilities = tf.nn.softmax(served.serve(images)["logits"])
    np.testing.assert_allclose(probabilities, wanted, atol=1e-4)
    (question,) = report["questions"]
    assert question["clean"]["count"] == (wanted.argmax(axis=1) == labels).sum()
    words = r"--onnx_file was my.onnx \(SHA-256 \w{12}\), is now my.onnx \(SHA-256 \w{12}\)"
    classifier(file, "Identity")
    with pytest.raises(UserError, match=words):
        run("certify", *flags_for(file, tmp_path / "run", digits_dir))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--keras_file=my.keras"], "expected one network; received --keras_file and --onnx_file"),
        (["--onnx_file=absent.onnx"], "onnx_file: expected a .onnx file; there is no file absent"),
        (["--model_dir="], "expected --model_dir=<folder for the run>"),
    ],
)
def test_what_is_wrong_is_said(changes, words, tmp_path: Path, digits_dir: Path) -> None:
    file = classifier(tmp_path / "my.onnx")
    with pytest.raises(UserError, match=words):
        run("certify", *flags_for(file, tmp_path / "run", digits_dir), *changes)
    assert not (tmp_path / "run").exists()


def test_a_network_of_other_images_is_refused(tmp_path: Path, digits_dir: Path) -> None:
    nodes = [node("MatMul", "x w", "y")]
    file = save(tmp_path / "my.onnx", nodes, {"w": normal(64, 10)}, (1, 64))
    with pytest.raises(UserError, match=r"onnx_file: expected an input of shape \(8, 8, 1\)"):
        run("certify", *flags_for(file, tmp_path / "run", digits_dir))
