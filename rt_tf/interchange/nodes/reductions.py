"""ONNX nodes that leave one number of all along some axes: sums, means, extremes."""

from collections.abc import Callable, Sequence

import keras

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import scaled
from rt_tf.interchange.nodes.values import Value, placed

L = keras.layers

ON_IMAGES: dict[Callable, type[keras.layers.Layer]] = {
    keras.ops.mean: L.GlobalAveragePooling2D,
    keras.ops.max: L.GlobalMaxPooling2D,
}


def reduction(op: Callable) -> Callable[[Call], Value]:
    """A conversion by an operation of keras.ops that takes axes."""
    return lambda call: reduced(call, call.value(), op)


def minimum(call: Call) -> Value:
    """The least number: less the largest of what has the other sign."""
    return scaled(reduced(call, scaled(call.value(), -1.0), keras.ops.max), -1.0)


def sum_of(inner: Callable, outer: Callable | None = None) -> Callable[[Call], Value]:
    """A conversion by a function of the sum of a function: each an operation of keras.ops."""

    def apply(call: Call) -> Value:
        value = call.value()
        result = reduced(call, value._replace(tensor=inner(value.tensor)), keras.ops.sum)
        return result if outer is None else result._replace(tensor=outer(result.tensor))

    return apply


def over_images(op: Callable) -> Callable[[Call], Value]:
    """A conversion by an operation over all axes of images but batch and channels."""

    def apply(call: Call) -> Value:
        value = call.value()
        return over(value, range(2, len(value.shape)), op)

    return apply


def reduced(call: Call, value: Value, op: Callable) -> Value:
    """An operation over the axes that the node names."""
    axes = named_axes(call, len(value.shape))
    result = over(value, axes, op)
    if call.settings.get("keepdims", 1):
        return result
    kept = [size for axis, size in enumerate(result.shape) if axis not in axes]
    return result._replace(positions=result.positions.reshape(kept))


def over(value: Value, axes: Sequence[int], op: Callable) -> Value:
    """An operation over ONNX axes, each of which stays with a size of 1."""
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
    if shape == value.shape:
        return value._replace(maker=None)
    order = value.order
    places = tuple(i + 1 for i, axis in enumerate(order) if axis in axes)
    tensor = value.arranged(order)
    if len(order) == 3 and places == (1, 2) and op in ON_IMAGES:
        result = ON_IMAGES[op](keepdims=True)(tensor)
    else:
        result = op(tensor, axis=places, keepdims=True)
    return placed(result, shape, order)


def named_axes(call: Call, count: int) -> tuple[int, ...]:
    """The axes that a node names, from 0 on; all where it names none, unless it then has none."""
    axes = call.whole_numbers(1, "axes")
    if not axes:
        return () if call.settings.get("noop_with_empty_axes", 0) else tuple(range(count))
    if not all(-count <= axis < count for axis in axes):
        raise call.refusal(f"axes of its operand's {count}", f"axes {axes}")
    return tuple(sorted({int(axis) % count for axis in axes}))
