"""Constants of ONNX files that float32 has no normal number for, or that lead to such ones."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.methods import crown_ibp_bounds
from rt_tf.errors import UserError
from rt_tf.interchange import onnx_file
from rt_tf.network.trace import trace
from rt_tf.threats.box import between
from tests.interchange.files import node, save

WEIGHTS = {
    "huge": [1e38],
    "more": [2e38],
    "small": [1e-5],
    "tiny": [1e-40],
    "least": [1e-35],
    "some": [1e38, 2.0, 1e-5],  # by channel
    "others": [2e38, 4.0, 1e-40],
    "back": [1.0, 1.0, 1e-35],
}
STEPS = {  # of a value of about one, and what is left of it; what is in between float32 holds
    "over a huge number": (["Mul h huge", "Div m1 more"], 0.5),
    "times a tiny number": (["Mul h huge", "Mul m1 tiny"], 1e-2),
    "a tiny number times": (["Mul huge h", "Mul tiny m1"], 1e-2),
    "over a tiny number": (["Mul h small", "Div m1 tiny", "Mul m2 least"], 1.0),
    "by channel": (["Mul h some", "Div m1 others", "Mul m2 back"], [0.5, 0.5, 1.0]),
}


@pytest.mark.parametrize("name", STEPS)
def test_products_and_quotients_are_those_of_the_file(name: str, tmp_path: Path) -> None:
    """In both networks and within the bounds, where numbers in between are normal ones."""
    steps, share = STEPS[name]
    nodes = [node("Relu", "x", "h")]
    for i, step in enumerate(steps):
        op, operands = step.split(" ", 1)
        nodes.append(node(op, operands, "y" if i == len(steps) - 1 else f"m{i + 1}"))
    weights = {key: np.float32(numbers) for key, numbers in WEIGHTS.items()}
    network = onnx_file.read(save(tmp_path / "net.onnx", nodes, weights, (1, 3)))
    x = np.float32([[1.0, 1.5, 0.75]])
    theirs = network.evaluate(x[0])
    np.testing.assert_allclose(theirs, np.float32(share) * x[0], rtol=1e-4)
    np.testing.assert_allclose(network.model(x)[0], theirs, rtol=1e-4)
    compiled = tf.function(lambda at: network.model(at))
    np.testing.assert_allclose(compiled(tf.constant(x))[0], theirs, rtol=1e-4)
    region = between(tf.constant(x), tf.constant(np.nextafter(x, np.float32(9))))
    graph = trace(network.model).lower()
    spec = tf.concat([tf.eye(3), -tf.eye(3)], axis=0)[tf.newaxis]
    bounds = crown_ibp_bounds(graph, region, spec, arithmetic="sound").margins[0].numpy()
    assert (bounds[:3] <= theirs).all()
    assert (theirs <= -bounds[3:]).all()


def test_products_of_weights_that_float32_does_not_hold_are_refused(tmp_path: Path) -> None:
    weights = {"w": np.full((3, 2), 1e-30, np.float32)}
    path = save(tmp_path / "net.onnx", [node("Gemm", "x w", "y", alpha=1e-12)], weights, (1, 3))
    with pytest.raises(UserError, match="factors of a product that float32 holds; received 1e-12"):
        onnx_file.read(path)
