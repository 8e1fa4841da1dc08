"""Networks that a user's Python functions make."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from rt_tf import numbers
from rt_tf.catalogue.plugins import called, own
from rt_tf.errors import UserError
from rt_tf.models.parts import Shape
from rt_tf.network.copying import of_two_logits

DEFAULTS = {"normalization": None, "batch_norm": False, "init": "keras", "scale": 1.0}
FLAGS = {"scale": "model_scale"}  # of options that have other names there


def from_function(
    path: str, input_shape: Shape, classes: int, options: Mapping[str, Any]
) -> keras.Model:
    """The network that `module:function` makes of a shape and a number of classes.

    options: of `rt_tf.models.build`; the function gets those that it has parameters for. UserError
    for others that are set, and for a result that is no network of this shape and these classes.
    """
    taken = inspect.signature(own("model", path)).parameters
    for name, value in options.items():
        if name not in taken and value != DEFAULTS[name]:
            raise UserError(
                f"{FLAGS.get(name, name)}: expected its default with --model={path}, a function "
                f"without a parameter {name}; received {numbers.shown(value)}"
            )
    given = {name: value for name, value in options.items() if name in taken}
    network = called("model", path, input_shape, classes, **given)
    network = of_two_logits(network) if classes == 2 else network
    check_fit(path, network, input_shape, classes)
    return network


def check_fit(name: str, network: Any, input_shape: Shape, classes: int) -> None:
    """Raises UserError unless a network takes inputs of a shape and answers so many classes."""
    if not isinstance(network, keras.Model) or not network.built:
        raise UserError(
            f"model: expected a functional or Sequential Keras model with an Input from {name}; "
            f"received {numbers.shown(network)}"
        )
    shapes = network.input_shape, network.output_shape
    wanted = (None, *input_shape), (None, classes)
    if shapes != wanted:
        raise UserError(
            f"model: expected inputs of {list(wanted[0])} and outputs of {list(wanted[1])} (batch "
            f"first), as the data set has; {name} has {_shown(shapes[0])} and {_shown(shapes[1])}"
        )


def _shown(shape: Any) -> str:
    """A shape, or the shapes of several inputs or outputs, in a few words."""
    return str(list(shape)) if isinstance(shape, tuple | list) else str(shape)
