"""ONNX nodes that resize: numbers repeated, or each axis times a constant matrix."""

from typing import Any

import keras
import numpy as np

from rt_tf.interchange.nodes.affine import along
from rt_tf.interchange.nodes.call import Call, evaluated
from rt_tf.interchange.nodes.values import Value, check_size, taken
from rt_tf.interchange.nodes.windows import images, of_images


def resizing(call: Call) -> Value:
    """The value resized along each axis, as ONNX's evaluator does it."""
    if call.settings.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise call.refusal("whole images", "coordinate_transformation_mode=tf_crop_and_resize")
    call.expect(keep_aspect_ratio_policy="stretch")
    matrices = _matrices(call)
    if all(_is_choice(matrix) for matrix in matrices.values()):
        return _chosen(call.value(), {axis: m.argmax(axis=1) for axis, m in matrices.items()})
    value = call.value()
    for axis, matrix in matrices.items():
        value = along(value, axis, matrix)
    return value


def _matrices(call: Call) -> dict[int, np.ndarray]:
    """The matrix [new size, size] of each axis that is resized."""
    value = call.value()
    matrices = {}
    for axis, (name, number) in enumerate(_targets(call, len(value.shape))):
        matrix = _matrix(call, value.shape[axis], name, number)
        if not np.array_equal(matrix, np.eye(len(matrix))):
            matrices[axis] = matrix
    return matrices


def _targets(call: Call, count: int) -> list[tuple[str, float]]:
    """The scale or the size of each axis, with the word for which it is."""
    is_new = len(call.operands) > 2
    sizes = call.whole_numbers(3, "sizes")
    if sizes:
        given: list[tuple[str, float]] = [("sizes", size) for size in sizes]
    else:
        scales = call.finite(2 if is_new else 1)
        given = [("scales", float(scale)) for scale in scales]
    axes = call.settings.get("axes", range(count))
    if len(given) != len(axes):
        raise call.refusal(f"{len(axes)} {given[0][0] if given else 'sizes'}", f"{len(given)}")
    targets: list[tuple[str, float]] = [("scales", 1.0)] * count
    for axis, target in zip(axes, given, strict=True):
        targets[axis] = target
    return targets


def _matrix(call: Call, size: int, name: str, number: float) -> np.ndarray:
    """The matrix [new size, size] that the node makes of the identity along one axis."""
    check_size((size, size))
    node, operands = _along_one(call, name)
    identity = np.eye(size, dtype=np.float32)
    constants = {
        "scales": np.array([1.0, number], np.float32),
        "sizes": np.array([size, int(number)]),
    }
    given = {"x": identity, **constants}
    (resized,) = evaluated(node, call.opsets, [given.get(operand) for operand in operands])
    return resized.T


def _along_one(call: Call, name: str) -> tuple[Any, list[str]]:
    """The node for matrices, and the names of its operands."""
    node = type(call.node)()
    node.CopyFrom(call.node)
    old = len(call.operands) < 3
    names = ["x", name] if old else ["x", "", name] if name == "scales" else ["x", "", "", name]
    del node.input[:]
    node.input.extend(names)
    kept = [a for a in node.attribute if a.name not in ("axes", "keep_aspect_ratio_policy")]
    del node.attribute[:]
    node.attribute.extend(kept)
    return node, names


def _is_choice(matrix: np.ndarray) -> bool:
    """Whether each row has one 1 and else zeros."""
    return bool(
        ((matrix == 1.0).sum(axis=1) == 1).all() and (np.abs(matrix).sum(axis=1) == 1).all()
    )


def _chosen(value: Value, choices: dict[int, np.ndarray]) -> Value:
    """The value with the numbers of some axes repeated or left out."""
    factors = [1] * len(value.shape)
    for axis, choice in choices.items():
        factors[axis] = len(choice) // value.shape[axis]
    repeats = all(
        np.array_equal(choice, np.repeat(np.arange(value.shape[axis]), factors[axis]))
        for axis, choice in choices.items()
    )
    if repeats and len(value.shape) == 4 and factors[:2] == [1, 1]:
        return of_images(keras.layers.UpSampling2D(factors[2:])(images(value)), 2)
    return taken(value, choices)
