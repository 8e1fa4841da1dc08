"""Recipes: the operations that a layer becomes, written as arithmetic on values."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.maps.positive import sum_of
from rt_tf.network.ops import Activation, Affine, Limits, Op, Positive, Tensor, Window
from rt_tf.network.planes import PRODUCT
from rt_tf.network.steps import Call, Hull, Step

Shape = tuple[int, ...]  # without batch


class Value(NamedTuple):
    """A value within a recipe: its number among the inputs and steps, and its shape."""

    number: int
    shape: Shape


class Recipe:
    """Collects the steps of a layer's call; axes and shapes are without batch."""

    def __init__(self, call: Call) -> None:
        self.inputs = [Value(i, shape) for i, shape in enumerate(call.input_shapes)]
        self._steps: list[Step] = []

    def add(
        self,
        op: Op,
        *values: Value,
        shape: Shape | None = None,
        limits: Limits | None = None,
    ) -> Value:
        """The value of an operation, within limits. shape: its own, if not the first input's."""
        inputs = tuple(value.number for value in values)
        self._steps.append(Step(op, inputs, limits=limits))
        number = len(self.inputs) + len(self._steps) - 1
        return Value(number, values[0].shape if shape is None else shape)

    def extend(self, steps: Sequence[Step], value: Value, shape: Shape) -> Value:
        """The value of steps of another lowering, which read one value. shape: of the result."""
        numbers = [value.number]
        for step in steps:
            self._steps.append(step.renumbered(numbers))
            numbers.append(len(self.inputs) + len(self._steps) - 1)
        return Value(numbers[-1], shape)

    def steps(self, result: Value) -> list[Step]:
        """The steps, of which the last gives the result."""
        last = len(self.inputs) + len(self._steps) - 1
        if result.number != last or (not self._steps and result.number != 0):
            self.add(Positive(tf.identity), result)
        return self._steps

    def moved(self, value: Value, move: Callable[[Tensor], Tensor], shape: Shape) -> Value:
        """The value with its numbers in other places, each used once at most."""
        return self.add(Positive(move, copies=True), value, shape=shape)

    def reshaped(self, value: Value, shape: Shape) -> Value:
        """The value in another shape."""
        if shape == value.shape:
            return value
        return self.moved(value, lambda x: tf.reshape(x, [-1, *shape]), shape)

    def transposed(self, value: Value, order: Sequence[int]) -> Value:
        """The value with its axes in another order."""
        if list(order) == list(range(len(value.shape))):
            return value
        with_batch = [0, *(k + 1 for k in order)]
        shape = tuple(value.shape[k] for k in order)
        return self.moved(value, lambda x: tf.transpose(x, with_batch), shape)

    def spread(self, value: Value, shape: Shape) -> Value:
        """The value, broadcast to a shape as NumPy does."""
        if shape == value.shape:
            return value
        value = self.reshaped(value, (1,) * (len(shape) - len(value.shape)) + value.shape)
        copies = math.prod(shape) // max(math.prod(value.shape), 1)

        def spread(x: Tensor) -> Tensor:
            return tf.broadcast_to(x, [tf.shape(x)[0], *shape])

        return self.add(Positive(spread, copies, copies=True), value, shape=shape)

    def summed(self, value: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
        """The sums over axes."""
        with_batch, terms = [k + 1 for k in axes], math.prod(value.shape[k] for k in axes)
        op = Positive(lambda x: tf.reduce_sum(x, with_batch, keepdims), terms)
        return self.add(op, value, shape=reduced(value.shape, axes, keepdims))

    def scaled(
        self,
        value: Value,
        scale: Tensor | float,
        offset: Tensor | float = 0.0,
        limits: Limits | None = None,
    ) -> Value:
        """The value times a constant, plus one: [...], which broadcast against one example."""
        kernel, bias = (tf.cast(tf.convert_to_tensor(c), tf.float32) for c in (scale, offset))
        uniform = kernel.shape.rank <= 1 and bias.shape.rank <= 1
        window = Window(tf.multiply) if uniform else None
        op = Affine(tf.multiply, kernel, bias, 1, 1, tf.abs(bias), window)
        return self.add(op, value, limits=limits)

    def added(self, *values: Value) -> Value:
        """The sum of values that broadcast against each other."""
        parts = self.alike(*values)
        return self.add(Positive(sum_of, len(parts), Window(sum_of)), *parts)

    def subtracted(self, value: Value, less: Value) -> Value:
        """The value less another one."""
        return self.added(value, self.scaled(less, -1.0))

    def multiplied(self, *values: Value) -> Value:
        """The product of values that broadcast against each other."""
        first, *others = self.alike(*values)
        for other in others:
            first = self.add(PRODUCT, first, other)
        return first

    def activated(self, value: Value, activation: Activation) -> Value:
        """The value after an elementwise function."""
        return self.add(activation, value)

    def alike(self, *values: Value) -> list[Value]:
        """The values, broadcast to one shape."""
        shape = broadcast(*(value.shape for value in values))
        return [self.spread(value, shape) for value in values]

    def contracted(self, equation: str, a: Value, b: Value, hull: Hull | None = None) -> Value:
        """The products of two values, summed as in `einsum`, within a hull.

        equation: of axes without batch.
        """
        operands, output = equation.split("->")
        labels = dict.fromkeys(output + operands.replace(",", ""))
        sizes = dict(zip(operands.replace(",", ""), (*a.shape, *b.shape), strict=True))
        whole = tuple(sizes[label] for label in labels)
        parts = zip(operands.split(","), (a, b), strict=True)
        wide = [self.spread(self._in_order(v, axes, list(labels)), whole) for axes, v in parts]
        product = self.add(PRODUCT, *wide)
        total = self.summed(product, range(len(output), len(labels)))
        self._steps[-1] = self._steps[-1]._replace(hull=hull)
        return total

    def _in_order(self, value: Value, axes: str, labels: list[str]) -> Value:
        """The value with its axes in the labels' order, and axes of size 1 for the others."""
        value = self.transposed(
            value, sorted(range(len(axes)), key=lambda k: labels.index(axes[k]))
        )
        sizes = dict(zip(sorted(axes, key=labels.index), value.shape, strict=True))
        return self.reshaped(value, tuple(sizes.get(label, 1) for label in labels))


def reduced(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape of sums over axes."""
    sizes = ((k, 1 if k in axes else size) for k, size in enumerate(shape))
    return tuple(size for k, size in sizes if keepdims or k not in axes)


def broadcast(*shapes: Shape) -> Shape:
    """The shape that shapes broadcast to, as NumPy has it."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))
