"""Outputs within an interval, networks of one logit, and networks of several inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rt_tf
from rt_tf.errors import UserError
from rt_tf.network.copying import of_two_logits
from rt_tf.network.trace import trace

L = keras.layers


def regression(seed: int = 0) -> keras.Model:
    """A network of two inputs and two outputs."""
    keras.utils.set_random_seed(seed)
    layers = [L.Dense(6, activation="silu"), L.Dense(4, activation="relu"), L.Dense(2)]
    return keras.Sequential([L.Input((2,)), *layers])


def grid(x: np.ndarray, eps: float) -> np.ndarray:
    """Points of the box around x within [0, 1]: [points, 2]."""
    steps = np.linspace(-eps, eps, 41)
    moves = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return np.clip(x + moves, 0.0, 1.0).astype(np.float32)


def test_outputs_are_bounded_and_judged_as_a_grid_of_the_region_says() -> None:
    model, eps = regression(), 0.08
    inputs = np.random.default_rng(1).random((6, 2)).astype(np.float32)
    values = np.stack([model(grid(x, eps)).numpy() for x in inputs])  # [n, points, outputs]
    least, most = values.min(axis=1), values.max(axis=1)
    room = np.float32([0.05, 0.05])
    inside = rt_tf.certify_outputs(model, inputs, least - room, most + room, eps)
    assert (inside.lower <= least).all()
    assert (inside.upper >= most).all()
    assert inside.verdicts.tolist() == ["certified"] * 6
    np.testing.assert_allclose(inside.outputs, model(inputs), atol=1e-6)
    outside = rt_tf.certify_outputs(model, inputs, -np.inf, (least + most) / 2, eps)
    assert outside.verdicts.tolist() == ["falsified"] * 6
    for i, point in outside.counterexamples.items():
        assert np.abs(point - inputs[i]).max() <= eps + 1e-7
        assert (model(point[np.newaxis]).numpy()[0] >= ((least + most) / 2)[i]).any()


def test_a_final_sigmoid_is_part_of_outputs_as_they_are() -> None:
    model = keras.Sequential([L.Input((2,)), L.Dense(1, "sigmoid", kernel_initializer="ones")])
    result = rt_tf.certify_outputs(model, np.float32([[0.5, 0.5]]), 0.6, 0.8, eps=0.05)
    assert result.verdicts.tolist() == ["certified"]
    assert 0.6 < result.lower[0, 0] < result.outputs[0, 0] < result.upper[0, 0] < 0.8


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_logit_is_two_classes(activation: str | None) -> None:
    layer = L.Dense(
        1, activation, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(-1.0)
    )
    model = keras.Sequential([L.Input((2,)), layer])
    inputs = np.float32([[0.9, 0.4], [0.1, 0.3], [0.5, 0.52]])
    result = rt_tf.certify(model, inputs, eps=0.1, progress=False)
    assert result.labels.tolist() == [1, 0, 1]
    assert result.verdicts.tolist() == ["certified", "certified", "falsified"]
    np.testing.assert_allclose(result.margins[:2], [0.1, 0.4], atol=1e-4)
    wiring = trace(model)
    assert wiring.classes == 2
    logits = wiring.lower()(tf.constant(inputs)).numpy()
    np.testing.assert_allclose(logits, of_two_logits(model)(inputs), atol=1e-6)
    np.testing.assert_array_equal(logits[:, 0], 0.0)


def two_inputs() -> keras.Model:
    keras.utils.set_random_seed(3)
    image, table = keras.Input((3, 3, 1), name="image"), keras.Input((2,), name="table")
    joined = L.Concatenate()([L.Flatten()(L.Conv2D(2, 2)(image)), L.Dense(3, "tanh")(table)])
    return keras.Model({"image": image, "table": table}, L.Dense(3)(joined))


def parts(count: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        "image": rng.random((count, 3, 3, 1)).astype(np.float32),
        "table": rng.uniform(-2.0, 2.0, (count, 2)).astype(np.float32),
    }


def test_one_of_several_inputs_is_perturbed_or_all() -> None:
    model, data, domain = two_inputs(), parts(), {"table": (-2.0, 2.0)}
    labels = model(data).numpy().argmax(axis=1)
    common = {"domain": domain, "progress": False, "rungs": ["crown"]}
    alone = rt_tf.certify(model, data, labels, eps={"table": 0.05}, **common)
    both = rt_tf.certify(model, data, labels, eps=0.05, **common)
    assert (alone.margins > both.margins).all()
    values = model(data).numpy()
    rivals = np.sort(values, axis=1)[:, -2]
    assert (alone.margins < values.max(axis=1) - rivals).all()
    moved = dict(data, table=np.clip(data["table"] + 0.05, -2.0, 2.0))
    margins = np.sort(model(moved).numpy(), axis=1)
    sampled = margins[:, -1] - margins[:, -2]
    assert (sampled[model(moved).numpy().argmax(axis=1) == labels] >= -1e-6).all()
    assert (alone.margins <= sampled + 1e-5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": {"tables": 0.1}}, "eps: expected the inputs image, table; received 'tables'"),
        ({"images": {"image": parts()["image"]}}, "images: expected one for each of the inputs"),
        (
            {"images": [parts()["image"]]},
            "images: expected one for each of the inputs image, table",
        ),
        (
            {"images": {"image": parts()["table"], "table": parts()["table"]}},
            r"expected as many examples of shapes \(3, 3, 1\), \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_several_inputs_is_told(change: dict, message: str) -> None:
    given = {
        "images": parts(),
        "eps": 0.1,
        "domain": {"table": (-2, 2)},
        "progress": False,
    } | change
    with pytest.raises(UserError, match=message):
        rt_tf.certify(two_inputs(), **given)
