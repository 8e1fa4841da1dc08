"""ONNX nodes that move numbers: ONNX's evaluator runs most of them on the numbers' positions."""

import keras
import numpy as np

from rt_tf.interchange.nodes.affine import along
from rt_tf.interchange.nodes.call import Call, Operand, evaluated
from rt_tf.interchange.nodes.scaling import scaled
from rt_tf.interchange.nodes.values import Value, check_size, moved, placed, taken

L = keras.layers

FLOAT, FLOATS = 1, (1, 10, 11, 16)  # of onnx.TensorProto: float32; with the others of fractions
MOVES = (
    *("DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"),
    *("Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)


def moves(call: Call) -> list[Value]:
    """The outputs of a node that puts each number of its first operand to some places, or none."""
    value = call.value()
    others = [operand for operand in call.operands[1:] if not isinstance(operand, Value)]
    if len(others) + 1 != len(call.operands):
        raise call.refusal("places that are constant", "some computed from the network's input")
    outputs = evaluated(call.node, call.opsets, [value.positions, *others])
    return [moved(value.tensor, np.asarray(positions)) for positions in outputs]


def cast(call: Call) -> Operand:
    """The operand itself, cast to a type with fractions; float32 stands for all of them."""
    operand = call.operands[0]
    if isinstance(operand, np.ndarray):
        return operand.astype(np.float32)
    target = call.settings.get("to", FLOAT)
    if call.node.op_type == "Cast" and target not in FLOATS:
        raise call.refusal("a cast to a type with fractions", f"to={target}")
    return call.value()


def concatenation(call: Call) -> Value:
    """The operands one after another along an axis; zeros make room for constant ones."""
    axis = call.settings["axis"] % len(call.shape(0))
    pieces: list[Value] = []
    before: list[np.ndarray] = []
    for i, operand in enumerate(call.operands):
        if isinstance(operand, np.ndarray):
            before.append(call.finite(i))
            if not pieces:
                continue
            pieces[-1] = _beside(pieces[-1], axis, [], before)
        else:
            pieces.append(_beside(call.value(i), axis, before, []))
        before = []
    if len(pieces) == 1:
        return pieces[0]
    order = pieces[0].order
    if axis not in order:
        raise call.refusal("an axis other than the batch's", f"axis={axis}")
    tensor = L.Concatenate(order.index(axis) + 1)([piece.arranged(order) for piece in pieces])
    shape = list(pieces[0].shape)
    shape[axis] = sum(piece.shape[axis] for piece in pieces)
    return placed(tensor, tuple(shape), order)


def padding(call: Call) -> Value:
    """The value with further numbers around: a constant one, or numbers of the value itself."""
    mode = call.settings.get("mode", "constant")
    value = call.value()
    ends = _ends(call, len(value.shape))
    if mode != "constant":
        return taken(value, {a: _mirrored(call, a, ends[a]) for a in value.axes if any(ends[a])})
    return padded(value, ends, _number(call))


def padded(value: Value, ends: list[tuple[int, int]], number: float = 0.0) -> Value:
    """The value with so many numbers before and after each ONNX axis."""
    if all(end == (0, 0) for end in ends):
        return value
    shape = tuple(size + sum(end) for size, end in zip(value.shape, ends, strict=True))
    check_size(shape)
    order = value.order
    widths = [ends[axis] for axis in order]
    tensor = value.arranged(order)
    if len(order) == 3 and widths[2] == (0, 0):
        tensor = L.ZeroPadding2D(tuple(widths[:2]))(tensor)
    else:
        tensor = keras.ops.pad(tensor, [(0, 0), *widths])
    result = placed(tensor, shape, order)
    if number == 0.0:
        return result
    around = np.pad(np.zeros(value.shape, np.float32), ends, constant_values=number)
    return scaled(result, 1.0, around)


def running_sum(call: Call) -> Value:
    """The sums of all numbers up to each along an axis."""
    (axis,) = call.whole_numbers(1, "axis") or [0]
    axis %= len(call.value().shape)
    size = call.value().shape[axis]
    check_size((size, size))
    matrix = np.tril(np.ones((size, size), np.float32), -call.settings.get("exclusive", 0))
    return along(call.value(), axis, matrix.T if call.settings.get("reverse", 0) else matrix)


def _mirrored(call: Call, axis: int, ends: tuple[int, int]) -> np.ndarray:
    """The places along an axis of a value to which numbers of its own are added."""
    check_size([call.value().shape[axis] + sum(ends)])
    mode = call.settings["mode"]  # NumPy has the same three by the same names
    return np.pad(np.arange(call.value().shape[axis]), ends, mode=mode)


def _beside(value: Value, axis: int, before: list[np.ndarray], after: list[np.ndarray]) -> Value:
    """The value between constants along an axis."""
    sizes = [sum(constant.shape[axis] for constant in side) for side in (before, after)]
    if sizes == [0, 0]:
        return value
    room = [(0, 0)] * len(value.shape)
    room[axis] = (sizes[0], sizes[1])
    parts = [*before, np.zeros(value.shape, np.float32), *after]
    return scaled(padded(value, room), 1.0, np.concatenate(parts, axis=axis))


def _ends(call: Call, count: int) -> list[tuple[int, int]]:
    """The numbers to add before and after each axis."""
    pads = call.whole_numbers(1, "pads") or []
    axes = call.whole_numbers(3, "axes") or list(range(count))
    if len(pads) != 2 * len(axes) or min(pads) < 0:
        raise call.refusal(f"{2 * len(axes)} pads from 0 on", f"pads {pads}")
    ends = [(0, 0)] * count
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        ends[axis] = (before, after)
    return ends


def _number(call: Call) -> float:
    if call.has(2):
        return float(np.ravel(call.finite(2))[0])
    return float(call.settings.get("value", 0.0))
