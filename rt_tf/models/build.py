"""Building an architecture of the catalogue."""

import math

import keras

from rt_tf import catalogue, numbers
from rt_tf.catalogue.models import is_function
from rt_tf.errors import refuse_unknown
from rt_tf.models.initializers import INITIALIZERS
from rt_tf.models.own import from_function
from rt_tf.models.parts import Normalization, Shape

ACTIVATIONS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


def build(
    name: str,
    input_shape: Shape,
    classes: int,
    normalization: Normalization | None = None,
    batch_norm: bool = False,
    init: str = "keras",
    scale: float = 1.0,
) -> keras.Model:
    """An architecture of the catalogue, or of `module:function`; its outputs are [batch, classes].

    A function takes the input's shape and the number of classes, and those of these options that it
    has parameters for; it returns a functional or Sequential network to logits, or to a softmax.
    input_shape: (h, w, c), or (columns,). normalization: mean and standard deviation of each
    channel or column, applied by the network's first layer. batch_norm: before each activation.
    init: 'keras' (each layer's default) or 'shi' (ShiNormal). scale: of the filters and units of
    all layers but the last, rounded; the k of Wide(k) and Deep(k). UserError for an unknown name,
    or an architecture that does not fit the shape or the options.
    """
    refuse_unknown("init", init, INITIALIZERS)
    options = {
        "normalization": normalization,
        "batch_norm": batch_norm,
        "init": init,
        "scale": numbers.above_0("model_scale", scale),
    }
    if is_function(name):
        return from_function(name, tuple(input_shape), classes, options)
    return catalogue.resolve("model", name)(tuple(input_shape), classes, **options)


def hidden_units(model: keras.Model) -> int:
    """The number of activations that a model, with the models inside it, computes for one input."""
    inner = sum(hidden_units(layer) for layer in model.layers if isinstance(layer, keras.Model))
    shapes = [layer.output.shape[1:] for layer in model.layers if _activates(layer)]
    return inner + sum(map(math.prod, shapes))


def _activates(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, ACTIVATIONS):
        return True
    activation = getattr(layer, "activation", None)
    return activation is not None and keras.activations.serialize(activation) != "linear"
