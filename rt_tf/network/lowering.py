"""The table of Keras layers with their lowerings, which make operations of a layer's calls.

A lowering is a function `(layer, call) -> list of Step` in the file of its kind, `activations` or
one of the folder `lowerings`. It reads the layer's weights each time it is called, so it
must be called inside the computation whose gradients are wanted.
"""

from collections.abc import Callable

import keras

from rt_tf.errors import UserError
from rt_tf.network import softmax
from rt_tf.network.activations import activation_layer
from rt_tf.network.lowerings import affine, convolutions, merging, pooling, resizing, shapes
from rt_tf.network.lowerings.channels import any_format
from rt_tf.network.lowerings.einsum import einsum_dense
from rt_tf.network.lowerings.inference import nothing, random_crop
from rt_tf.network.lowerings.wrappers import at_each_time, inside
from rt_tf.network.operations import lowering as operations
from rt_tf.network.products import attention, multiplying, normalisation
from rt_tf.network.steps import Call, Step, kind_of

L = keras.layers

Lowering = Callable[[keras.layers.Layer, Call], list[Step]]


def lower(layer: keras.Operation, call: Call) -> list[Step]:
    """The operations of one call of a layer, or of a Keras operation.

    UserError names one without a lowering.
    """
    if not isinstance(layer, keras.layers.Layer):
        return operations.lower(layer, call)
    kind = kind_of(layer, LOWERINGS)
    if kind is not None:
        return LOWERINGS[kind](layer, call)
    raise UserError(
        f"layer '{layer.name}': {type(layer).__name__} has no lowering, so no bounds; expected a "
        "layer of a kind that `rt_tf.layers` has, too"
    )


LOWERINGS: dict[type, Lowering] = {
    L.Activation: activation_layer,
    L.Add: merging.add,
    L.AdditiveAttention: attention.attention,
    L.Attention: attention.attention,
    L.Average: merging.average,
    L.BatchNormalization: affine.batch_normalization,
    L.CenterCrop: any_format(resizing.center_crop),
    L.Concatenate: merging.concatenate,
    L.Dense: affine.dense,
    L.Dot: multiplying.dot,
    L.ELU: activation_layer,
    L.EinsumDense: einsum_dense,
    L.Flatten: any_format(shapes.flatten),
    L.GroupNormalization: normalisation.group_normalization,
    L.GroupQueryAttention: attention.grouped_query_attention,
    L.LayerNormalization: normalisation.layer_normalization,
    L.LeakyReLU: activation_layer,
    L.Maximum: merging.maximum,
    L.Minimum: merging.minimum,
    L.MultiHeadAttention: attention.multi_head_attention,
    L.Multiply: multiplying.multiply,
    L.Normalization: affine.normalization,
    L.PReLU: activation_layer,
    L.Permute: shapes.permute,
    L.RMSNormalization: normalisation.rms_normalization,
    L.RandomCrop: random_crop,
    L.ReLU: activation_layer,
    L.RepeatVector: shapes.repeat_vector,
    L.Rescaling: affine.rescaling,
    L.Reshape: shapes.reshape,
    L.Resizing: any_format(resizing.resizing),
    L.Softmax: softmax.softmax,
    L.SpectralNormalization: lambda layer, call: inside(layer, call, lower),
    L.Subtract: merging.subtract,
    L.TimeDistributed: lambda layer, call: at_each_time(layer, call, lower),
    L.UnitNormalization: normalisation.unit_normalization,
    L.UpSampling2D: any_format(resizing.up_sampling_2d),
}

# Of layers that have one class for each number of axes of places, and of all that do nothing at
# inference.
_FAMILIES: dict[Lowering, tuple[type, ...]] = {
    any_format(convolutions.convolution): (L.Conv1D, L.Conv2D, L.Conv3D),
    any_format(convolutions.depthwise_convolution): (L.DepthwiseConv1D, L.DepthwiseConv2D),
    any_format(convolutions.separable_convolution): (L.SeparableConv1D, L.SeparableConv2D),
    any_format(convolutions.transposed_convolution): (
        *(L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose),
    ),
    any_format(pooling.average_pooling): (
        *(L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D),
    ),
    any_format(pooling.global_average_pooling): (
        *(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D),
    ),
    any_format(pooling.max_pooling): (L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D),
    any_format(pooling.global_max_pooling): (
        *(L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D),
    ),
    any_format(shapes.cropping): (L.Cropping1D, L.Cropping2D, L.Cropping3D),
    any_format(shapes.up_sampling): (L.UpSampling1D, L.UpSampling3D),
    any_format(shapes.zero_padding): (L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D),
    nothing: (
        *(L.ActivityRegularization, L.AlphaDropout, L.Dropout, L.GaussianDropout),
        *(L.GaussianNoise, L.Identity),
        *(L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
        *(L.AugMix, L.CutMix, L.MixUp, L.RandAugment, L.Solarization),
        *(L.RandomBrightness, L.RandomColorDegeneration, L.RandomColorJitter, L.RandomContrast),
        *(L.RandomElasticTransform, L.RandomErasing, L.RandomFlip, L.RandomGaussianBlur),
        *(L.RandomGrayscale, L.RandomHue, L.RandomInvert, L.RandomPerspective),
        *(L.RandomPosterization, L.RandomRotation, L.RandomSaturation, L.RandomSharpness),
        *(L.RandomShear, L.RandomTranslation, L.RandomZoom),
    ),
}
LOWERINGS |= {kind: lowering for lowering, kinds in _FAMILIES.items() for kind in kinds}
