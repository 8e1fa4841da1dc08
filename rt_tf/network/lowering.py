"""The table of Keras layers with their lowerings, which make operations of a layer's calls.

A lowering is a function `(layer, call) -> list of Step` in the file of its kind: `affine`,
`activations`, `pooling` or `shapes`. It reads the layer's weights each time it is called, so it
must be called inside the computation whose gradients are wanted.
"""

from collections.abc import Callable

import keras

from rt_tf.errors import UserError
from rt_tf.network import affine, pooling, shapes
from rt_tf.network.activations import activation_layer, refuse_softmax
from rt_tf.network.steps import Call, Step, kind_of

L = keras.layers

Lowering = Callable[[keras.layers.Layer, Call], list[Step]]


def lower(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The operations of one call of a layer; UserError names a layer without a lowering."""
    kind = kind_of(layer, LOWERINGS)
    if kind is not None:
        return LOWERINGS[kind](layer, call)
    if isinstance(layer, L.Softmax):
        refuse_softmax(layer.name)
    raise UserError(
        f"layer '{layer.name}': {type(layer).__name__} has no lowering, so no bounds; expected one "
        f"of {', '.join(sorted(kind.__name__ for kind in LOWERINGS))}"
    )


LOWERINGS: dict[type, Lowering] = {
    L.Activation: activation_layer,
    L.Add: shapes.add,
    L.AveragePooling2D: pooling.average_pooling,
    L.BatchNormalization: affine.batch_normalization,
    L.Concatenate: shapes.concatenate,
    L.Conv2D: affine.conv2d,
    L.Dense: affine.dense,
    L.DepthwiseConv2D: affine.depthwise_conv2d,
    L.Dropout: shapes.nothing,
    L.ELU: activation_layer,
    L.Flatten: shapes.flatten,
    L.GlobalAveragePooling2D: pooling.global_average_pooling,
    L.GlobalMaxPooling2D: pooling.global_max_pooling,
    L.LeakyReLU: activation_layer,
    L.MaxPooling2D: pooling.max_pooling,
    L.Normalization: affine.normalization,
    L.ReLU: activation_layer,
    L.Rescaling: affine.rescaling,
    L.Reshape: shapes.reshape,
    L.ZeroPadding2D: shapes.zero_padding,
}
