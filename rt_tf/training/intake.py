"""The check of a model's batches, in one place for all."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.training import dials

_FAILED = re.compile(r"assertion failed: \[((?:x|y|sample_weight|eps|kappa): expected [^\n]*)\]")


class Examples(NamedTuple):
    """A batch for training: x float32 [batch, ...], labels int64 [batch].

    weights: of the examples in the loss, float32 [batch]; None for one each.
    """

    x: Tensor
    labels: Tensor
    weights: Tensor | None


def examples(data: Any, wiring: Wiring) -> Examples:
    """The examples of `(x, y)` or `(x, y, sample_weight)`, for the network of a wiring.

    UserError for types or shapes that are no batch of the network; for such values, an assertion
    fails, which `in_one_line` turns into a UserError.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    x, labels = _inputs(x, wiring.input_shape, wiring.domain), _labels(y, wiring.classes)
    if weights is not None:
        weights = _one_each("sample_weight", _weights(weights), x)
    return Examples(x, _one_each("y", labels, x), weights)


def setting(name: str, value: Tensor) -> Tensor:
    """The value of eps or kappa, a scalar, after assertions that it is set and in range."""
    value = _once(
        ~tf.math.is_nan(value),
        f"{name}: expected a number in compile, or a Schedule among the callbacks of fit; "
        "received neither",
        value,
    )
    message = f"{name}: expected {dials.EXPECTED[name]}; received"
    return _once(dials.in_range(name, value), message, value, value)


def whole(kappa: Tensor) -> Tensor:
    """kappa, a scalar, after an assertion that it is 1, as it is where the bound is the loss."""
    message = "kappa: expected 1 with Objective(bound_only=True); received"
    return _once(tf.equal(kappa, 1.0), message, kappa, kappa)


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Turns a failed assertion of this file, many lines in TensorFlow, into a UserError."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        failed = _FAILED.search(str(error))
        if failed is None:
            raise
        raise UserError(failed.group(1).replace("] [", " ")) from None


def _inputs(x: Any, shape: tuple[int, ...], domain: Domain) -> Tensor:
    """Inputs in the domain, float32; integers are refused, since they may be meant as any range."""
    if isinstance(x, dict | list | tuple):
        raise UserError(f"x: expected one array, [batch, ...]; received a {type(x).__name__}")
    x = _tensor("x", x)
    if not x.dtype.is_floating:
        raise UserError(
            f"x: expected floating-point numbers in the domain {domain}; received "
            f"{x.dtype.name}; x.astype('float32') makes such of them, / 255 in [0, 1] of pixels"
        )
    if x.shape.rank is None or tuple(x.shape[1:]) != shape:
        received = "unknown" if x.shape.rank is None else tuple(x.shape[1:])
        raise UserError(
            f"x: expected inputs of shape {shape}; received {received}, None being what the data "
            "does not tell or what differs from batch to batch"
        )
    x = tf.cast(x, tf.float32)
    few = "x: expected an example for every replica in every batch; received fewer"
    x = _once(tf.shape(x)[0] > 0, few, x)
    x = _once(_finite(x), "x: expected finite numbers; received NaN or infinity", x)
    inside = tf.reduce_all(domain.contains(x))
    message = f"x: expected inputs in the domain {domain} of RobustModel(domain=...); received from"
    return _once(inside, message, x, tf.reduce_min(x), "to", tf.reduce_max(x))


def _labels(y: Any, classes: int) -> Tensor:
    """Class numbers, int64 [batch], from [batch] or [batch, 1]."""
    if y is None or isinstance(y, dict | list | tuple):
        received = "none" if y is None else f"a {type(y).__name__}"
        raise UserError(f"y: expected class numbers, [batch]; received {received}")
    y = _numeric("y", y, "class numbers, [batch]")
    if y.shape.rank not in (None, 1) and tuple(y.shape[1:]) != (1,):
        raise UserError(
            f"y: expected class numbers, [batch]; received {tuple(y.shape[1:])} for each example; "
            "of one-hot labels, give the argmax"
        )
    labels = tf.reshape(tf.cast(y, tf.int64), [-1])
    inside = tf.reduce_all((labels >= 0) & (labels < classes))
    whole = tf.reduce_all(tf.cast(tf.reshape(y, [-1]), tf.float64) == tf.cast(labels, tf.float64))
    message = f"y: expected class numbers from 0 to {classes - 1}; received others"
    return _once(inside & whole, message, labels)


def _weights(weights: Any) -> Tensor:
    """Weights, float32 [batch], from [batch] or [batch, 1]."""
    weights = _numeric("sample_weight", weights, "a number for each example, [batch]")
    weights = tf.cast(weights, tf.float32)
    if weights.shape.rank not in (None, 1) and tuple(weights.shape[1:]) != (1,):
        raise UserError(
            "sample_weight: expected a number for each example, [batch]; "
            f"received {tuple(weights.shape[1:])} for each"
        )
    weights = tf.reshape(weights, [-1])
    fit = _finite(weights) & tf.reduce_all(weights >= 0.0)
    return _once(
        fit, "sample_weight: expected finite numbers of at least 0; received others", weights
    )


def _numeric(name: str, values: Any, expected: str) -> Tensor:
    """A tensor of real numbers; UserError for texts, complex numbers and what is no tensor."""
    tensor = _tensor(name, values)
    if not (tensor.dtype.is_integer or tensor.dtype.is_floating or tensor.dtype.is_bool):
        raise UserError(f"{name}: expected {expected}; received {tensor.dtype.name}")
    return tensor


def _tensor(name: str, values: Any) -> Tensor:
    """A dense tensor; UserError for values that are none, such as ragged and sparse ones."""
    try:
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError):
        received = type(values).__name__
        raise UserError(f"{name}: expected one dense array; received a {received}") from None


def _one_each(name: str, values: Tensor, x: Tensor) -> Tensor:
    """The values, [batch], after an assertion that there is one for each example."""
    message, count = f"{name}: expected one for each example of x; received", values.shape[0]
    if None not in (count, x.shape[0]) and count != x.shape[0]:
        raise UserError(f"{message} {count} for {x.shape[0]}")
    rows = [tf.shape(each)[0] for each in (values, x)]
    return _once(tf.equal(*rows), message, values, rows[0], "for", rows[1])


def _finite(values: Tensor) -> Tensor:
    return tf.reduce_all(tf.math.is_finite(values))


def _once(condition: Tensor, message: str, value: Tensor, *received: Any) -> Tensor:
    """The value, after an assertion: nothing is computed from it before."""
    with tf.device("CPU:0"):  # where strings are
        assertion = tf.debugging.Assert(condition, [message, *received])
    with tf.control_dependencies([] if assertion is None else [assertion]):
        return tf.identity(value)
