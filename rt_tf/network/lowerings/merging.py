"""Layers of several inputs, which are joined, added up, subtracted or compared."""

import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.lowerings.keras_sums import refuse_misplaced
from rt_tf.network.lowerings.weights import product
from rt_tf.network.maps.positive import mean_of, sum_of
from rt_tf.network.ops import Affine, Positive, Tensor, Window
from rt_tf.network.relaxations import RELU
from rt_tf.network.steps import Call, Hull, Step

Shape = tuple[int, ...]  # without batch


def add(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of sums, of inputs that broadcast to one shape if they are not of one.

    UserError for inputs of different ranks, and for sums that Keras misplaces.
    """
    _refuse_misplaced(layer, call)
    return [Step(_added(layer, call), _every_input(call))]


def average(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of means, of inputs that broadcast as those of sums do."""
    _refuse_misplaced(layer, call)
    steps, values = _alike(call, _total(layer, call))
    op = Positive(mean_of, len(values) + 1, Window(mean_of))
    return [*steps, Step(op, tuple(values))]


def subtract(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the first input less the second, which broadcast as those of sums do."""
    return [Step(_negative(), (1,)), Step(_added(layer, call), (0, 2))]


def maximum(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the largest of the inputs, by max(a, b) = b + relu(a - b)."""

    def larger(a: int, b: int, excess: int) -> list[Step]:
        return [Step(_PLUS, (b, excess), Hull(Positive(tf.maximum), (a, b)))]

    return _compared(layer, call, larger)


def minimum(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the least of the inputs, by min(a, b) = a - relu(a - b)."""

    def smaller(a: int, b: int, excess: int) -> list[Step]:
        less = Step(_PLUS, (a, excess + 1), Hull(Positive(tf.minimum), (a, b)))
        return [Step(_negative(), (excess,)), less]

    return _compared(layer, call, smaller)


def _compared(
    layer: keras.layers.Layer, call: Call, choose: Callable[[int, int, int], list[Step]]
) -> list[Step]:
    """The steps that choose between the inputs, one after another.

    choose: the last steps for two values, by the numbers of a, b and relu(a - b).
    """
    steps, values = _alike(call, _total(layer, call))
    count = len(call.input_shapes)
    chosen = values[0]
    for other in values[1:]:
        last = count + len(steps)
        steps += [Step(_negative(), (other,)), Step(_PLUS, (chosen, last)), Step(RELU, (last + 1,))]
        steps += choose(chosen, other, last + 2)
        chosen = count + len(steps) - 1
    return steps


def concatenate(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of inputs one after another along an axis; UserError for the batch's axis."""
    axis = layer.axis % (len(call.input_shapes[0]) + 1)
    if axis == 0:
        raise UserError(
            f"layer '{layer.name}': expected an axis other than the batch's; received axis=0"
        )
    by_channel = axis == len(call.input_shapes[0])
    window = Window(lambda *inputs: tf.concat(inputs, -1)) if by_channel else None
    op = Positive(lambda *inputs: tf.concat(inputs, axis), window=window)
    return [Step(op, _every_input(call))]


def _refuse_misplaced(layer: keras.layers.Layer, call: Call) -> None:
    """Raises UserError if Keras adds any input along another axis than its own."""
    _total(layer, call)
    sum_so_far = call.input_shapes[0]
    for shape in call.input_shapes[1:]:
        refuse_misplaced(layer, sum_so_far, shape)
        sum_so_far = tuple(map(max, sum_so_far, shape))


def _every_input(call: Call) -> tuple[int, ...]:
    return tuple(range(len(call.input_shapes)))


_PLUS = Positive(sum_of, 2, Window(sum_of))


def _negative() -> Affine:
    """The operation -x, in which nothing rounds."""
    return product(tf.multiply, tf.constant(-1.0), None, (1, 1), Window(tf.multiply))


def _total(layer: keras.layers.Layer, call: Call) -> Shape:
    """The shape to which all inputs broadcast; UserError for inputs of different ranks."""
    shapes = call.input_shapes
    if len({len(shape) for shape in shapes}) != 1:
        raise UserError(
            f"layer '{layer.name}': expected inputs of equally many axes; "
            f"received {', '.join(str((None, *shape)) for shape in shapes)}"
        )
    return tuple(max(sizes) for sizes in zip(*shapes, strict=True))


def _alike(call: Call, total: Shape) -> tuple[list[Step], list[int]]:
    """The steps that give every input one shape, and the numbers of the values that have it."""
    steps: list[Step] = []
    values = []
    for i, shape in enumerate(call.input_shapes):
        if shape != total:
            steps.append(Step(_spread(shape, total), (i,)))
        values.append(i if shape == total else len(call.input_shapes) + len(steps) - 1)
    return steps, values


def _spread(shape: Shape, total: Shape) -> Positive:
    """The operation that repeats a value along the axes where the total is longer."""
    return Positive(functools.partial(_repeated, total), math.prod(total) // math.prod(shape))


def _repeated(total: Shape, x: Tensor) -> Tensor:
    return tf.broadcast_to(x, [tf.shape(x)[0], *total])


def _added(layer: keras.layers.Layer, call: Call) -> Positive:
    """The sum of all inputs, which are repeated first where they need it."""
    shapes, total = call.input_shapes, _total(layer, call)
    terms = len(shapes)
    if set(shapes) == {total}:
        return Positive(sum_of, terms, Window(sum_of))
    copies = max(math.prod(total) // math.prod(shape) for shape in shapes)
    spread = functools.partial(_repeated, total)
    return Positive(lambda *inputs: sum_of(*map(spread, inputs)), max(terms, copies))
