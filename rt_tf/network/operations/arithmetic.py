"""Operations of arithmetic: on two values, or on a value and constants, which broadcast."""

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.lowerings.keras_sums import refuse_misplaced
from rt_tf.network.operations.operands import Operand, beside, operands
from rt_tf.network.ops import Tensor
from rt_tf.network.recipe import Recipe, Shape, Value, broadcast
from rt_tf.network.relaxations import RECIPROCAL, RELU, power
from rt_tf.network.steps import Call, Step


def added(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of a sum."""
    recipe, one, other = _two(operation, call)
    if isinstance(one, Value) and isinstance(other, Value):
        return recipe.steps(recipe.added(one, other))
    value, constant = _apart(one, other)
    beside_value = tuple(beside(operation, constant, value).shape)
    shapes = [value.shape, (1,) * (len(value.shape) - len(beside_value)) + beside_value]
    refuse_misplaced(operation, *(shapes if value is one else shapes[::-1]))
    return recipe.steps(_scaled(operation, recipe, value, offset=constant))


def subtracted(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of a difference."""
    recipe, one, other = _two(operation, call)
    if isinstance(one, Value) and isinstance(other, Value):
        return recipe.steps(recipe.subtracted(one, other))
    value, constant = _apart(one, other)
    if value is one:
        return recipe.steps(_scaled(operation, recipe, value, offset=-constant))
    return recipe.steps(_scaled(operation, recipe, value, tf.constant(-1.0), constant))


def multiplied(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of a product."""
    recipe, one, other = _two(operation, call)
    if isinstance(one, Value) and isinstance(other, Value):
        return recipe.steps(recipe.multiplied(one, other))
    value, constant = _apart(one, other)
    return recipe.steps(_scaled(operation, recipe, value, constant))


def divided(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of a quotient; UserError for a constant divisor that has a 0."""
    recipe, one, other = _two(operation, call)
    if not isinstance(other, Value):
        assert isinstance(one, Value)
        if tf.executing_eagerly() and not bool(tf.reduce_all(other != 0.0)):
            raise UserError(f"operation '{operation.name}': expected a divisor other than 0")
        return recipe.steps(_scaled(operation, recipe, one, 1.0 / other))
    inverse = recipe.activated(other, RECIPROCAL)
    if isinstance(one, Value):
        return recipe.steps(recipe.multiplied(one, inverse))
    return recipe.steps(_scaled(operation, recipe, inverse, one))


def negated(operation: keras.Operation, call: Call) -> list[Step]:
    """The step of minus a value."""
    recipe = Recipe(call)
    return recipe.steps(recipe.scaled(recipe.inputs[0], -1.0))


def raised(operation: keras.Operation, call: Call) -> list[Step]:
    """The step of a power with a constant exponent; UserError for one that is computed."""
    recipe, one, other = _two(operation, call)
    if not isinstance(one, Value) or isinstance(other, Value) or other.shape.rank != 0:
        raise UserError(
            f"operation '{operation.name}': expected one constant exponent; received "
            f"{'one that is computed' if isinstance(other, Value) else 'several'}"
        )
    return recipe.steps(recipe.activated(one, power(float(other))))


def larger(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of the larger of two: a + relu(b - a)."""
    return _extreme(operation, call, 1.0)


def smaller(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of the smaller of two: a - relu(a - b)."""
    return _extreme(operation, call, -1.0)


def _extreme(operation: keras.Operation, call: Call, sign: float) -> list[Step]:
    recipe, one, other = _two(operation, call)
    if isinstance(one, Value) and isinstance(other, Value):
        one, other = recipe.alike(one, other)
        excess = recipe.subtracted(other, one) if sign > 0.0 else recipe.subtracted(one, other)
        part = recipe.activated(excess, RELU)
        return recipe.steps(recipe.added(one, part) if sign > 0.0 else recipe.subtracted(one, part))
    value, constant = _apart(one, other)
    excess = _scaled(operation, recipe, value, tf.constant(sign), -sign * constant)
    part = recipe.activated(excess, RELU)
    return recipe.steps(_scaled(operation, recipe, part, tf.constant(sign), constant))


def _two(operation: keras.Operation, call: Call) -> tuple[Recipe, Operand, Operand]:
    recipe = Recipe(call)
    one, other = operands(operation, call, recipe)
    return recipe, one, other


def _apart(one: Operand, other: Operand) -> tuple[Value, Tensor]:
    """The value and the constant, whichever comes first."""
    value, constant = (one, other) if isinstance(one, Value) else (other, one)
    assert isinstance(value, Value)
    return value, constant


def _scaled(
    operation: keras.Operation,
    recipe: Recipe,
    value: Value,
    scale: Tensor | None = None,
    offset: Tensor | None = None,
) -> Value:
    """The value times constants, plus constants, broadcast to what they need."""
    one, zero = tf.constant(1.0), tf.constant(0.0)
    factors, terms = (
        default if constant is None else beside(operation, constant, value)
        for constant, default in ((scale, one), (offset, zero))
    )
    shapes: list[Shape] = [tuple(constant.shape) for constant in (factors, terms)]
    return recipe.scaled(recipe.spread(value, broadcast(value.shape, *shapes)), factors, terms)
