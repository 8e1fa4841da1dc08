"""Networks of layers that are linear, maxima, or nothing at inference."""

from collections.abc import Callable

import keras

from network_rows.chains import chain, conv, functional

L = keras.layers
FIRST = {"data_format": "channels_first"}
SEQUENCE, VOLUME = (8, 2), (3, 4, 3, 2)


def differences(x):
    """Differences and means, of values that broadcast among them."""
    y, z = (conv()(x) for _ in range(2))
    a = L.ReLU()(L.Subtract()([y, L.GlobalAveragePooling2D(keepdims=True)(z)]))
    return L.ReLU()(L.Average()([L.Subtract()([z, a]), y, L.MaxPooling2D((1, 4))(z)]))


def extremes(x):
    """Maxima and minima of two and three values, one of which is repeated."""
    y, z = (conv()(x) for _ in range(2))
    a = L.Maximum()([y, z])
    return L.Minimum()([a, L.Conv2D(3, (4, 1))(x), conv()(a)])


def resized(x):
    """Images made larger and smaller, by every interpolation."""
    y = L.ReLU()(L.Resizing(6, 3)(conv()(x)))
    y = L.ReLU()(L.Resizing(3, 5, "bicubic")(y))
    y = L.Resizing(5, 5, "bilinear", antialias=True, pad_to_aspect_ratio=True, fill_value=0.5)(y)
    y = L.ReLU()(conv()(L.Resizing(4, 2, "nearest", crop_to_aspect_ratio=True)(y)))
    y = L.ReLU()(conv()(L.Resizing(3, 3, "lanczos3")(L.Resizing(2, 3, "area")(y))))
    return L.UpSampling2D((1, 2), interpolation="bilinear")(y)


def enlarged(x):
    """A decoder: images made smaller, larger again in three ways, and cropped."""
    y = L.SeparableConv2D(3, 3, strides=2, padding="same", activation="relu")(x)
    z = L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu")(y)
    a = L.Maximum()([L.UpSampling2D(2)(y), z])
    b = L.Resizing(4, 4)(L.Cropping2D(((1, 0), (0, 1)))(z))
    return L.ReLU()(L.Subtract()([L.Permute((2, 1, 3))(a), b]))


def channels_first(x):
    y = L.Conv2D(3, 3, padding="same", activation="relu", **FIRST)(x)
    y = L.MaxPooling2D(2, 1, padding="same", **FIRST)(L.BatchNormalization(axis=1)(y))
    y = L.Conv2DTranspose(2, 2, activation="relu", **FIRST)(L.AveragePooling2D(2, **FIRST)(y))
    flat = L.Flatten(**FIRST)(L.Cropping2D(((1, 0), (0, 1)), **FIRST)(y))
    means = L.GlobalAveragePooling2D(**FIRST)(y)
    largest = L.Flatten()(L.GlobalMaxPooling2D(keepdims=True, **FIRST)(y))
    return L.Concatenate()([flat, means, largest])


def more_channels_first(x):
    y = L.SeparableConv2D(2, 2, **FIRST)(L.ZeroPadding2D(((1, 0), (0, 1)), **FIRST)(x))
    y = L.UpSampling2D((1, 2), **FIRST)(L.DepthwiseConv2D(2, activation="relu", **FIRST)(y))
    y = L.ReLU()(L.Resizing(3, 4, **FIRST)(L.CenterCrop(2, 6, **FIRST)(y)))
    return L.Conv2D(4, 2, activation="relu", **FIRST)(y)


def normalised(x):
    """Batch normalisations along every axis."""
    for axis in (1, 2, 3, -1, -2, -3):
        x = L.ReLU()(L.BatchNormalization(axis=axis)(conv()(x)))
    return x


def at_each_time(x):
    y = L.TimeDistributed(L.Conv1D(3, 2, activation="relu"))(x)
    y = L.TimeDistributed(L.MaxPooling1D(2, 1))(y)
    y = L.TimeDistributed(L.Dense(4, activation="relu"))(L.TimeDistributed(L.Flatten())(y))
    return L.TimeDistributed(L.EinsumDense("ab,bc->ac", 3, bias_axes="c"))(y)


ROWS: dict[str, Callable[[], keras.Model]] = {
    "linear_images": lambda: functional(enlarged),
    "linear_sequences": lambda: chain(
        L.Conv1D(3, 3, padding="causal", activation="relu"),
        L.MaxPooling1D(2, 1, padding="same"),
        L.Conv1DTranspose(2, 3, strides=2, activation="relu"),
        L.GlobalAveragePooling1D(),
        shape=SEQUENCE,
    ),
    "nothing_at_inference": lambda: chain(
        *(L.SpatialDropout2D(0.5), L.GaussianNoise(0.5), L.GaussianDropout(0.5)),
        *(conv(), L.AlphaDropout(0.5), L.ActivityRegularization(0.1), L.Identity(), L.ReLU()),
        *(L.Reshape((16, 3)), L.SpatialDropout1D(0.5), L.Reshape((2, 2, 4, 3))),
        L.SpatialDropout3D(0.5),
    ),
    "augmented": lambda: chain(
        *(L.AugMix(), L.CutMix(), L.MixUp(), L.RandAugment(), L.Solarization()),
        *(L.RandomBrightness(0.2), L.RandomColorDegeneration(0.5), L.RandomColorJitter()),
        *(L.RandomContrast(0.2), L.RandomCrop(4, 4), L.RandomElasticTransform()),
        *(L.RandomErasing(), L.RandomFlip(), L.RandomGaussianBlur(), L.RandomGrayscale()),
        *(L.RandomHue(0.2), L.RandomInvert(), L.RandomPerspective(), L.RandomPosterization(4)),
        *(L.RandomRotation(0.1), L.RandomSaturation(0.2), L.RandomSharpness(0.5)),
        *(L.RandomShear(), L.RandomTranslation(0.1, 0.1), L.RandomZoom(0.1)),
        *(conv(), L.ReLU()),
        shape=(4, 4, 3),
    ),
    "spectral_normalization": lambda: chain(
        L.SpectralNormalization(conv(activation="relu")), L.SpectralNormalization(L.Dense(2))
    ),
    "conv1d": lambda: chain(
        L.Conv1D(3, 3, padding="same", activation="relu"),
        L.Conv1D(4, 2, strides=2),
        L.ReLU(),
        L.Conv1D(2, 2, padding="causal", dilation_rate=2, use_bias=False, activation="relu"),
        shape=SEQUENCE,
    ),
    "conv1d_grouped": lambda: chain(
        L.Conv1D(4, 3, padding="same", dilation_rate=2, groups=2, activation="relu"),
        L.DepthwiseConv1D(3, strides=2, padding="same", depth_multiplier=2, activation="relu"),
        L.SeparableConv1D(3, 2, dilation_rate=2),
        shape=(9, 2),
    ),
    "conv3d": lambda: chain(
        L.Conv3D(3, 2, activation="relu"),
        L.Conv3D(4, (1, 3, 2), strides=(1, 2, 1), padding="same", use_bias=False),
        L.ReLU(),
        shape=VOLUME,
    ),
    "conv3d_dilated": lambda: chain(
        L.Conv3D(4, 2, dilation_rate=(1, 2, 2), groups=2, activation="relu"), shape=VOLUME
    ),
    "separable": lambda: chain(
        L.SeparableConv2D(3, (3, 2), padding="same", depth_multiplier=2, activation="relu"),
        L.SeparableConv2D(4, 2, strides=2, use_bias=False),
        L.ReLU(),
    ),
    "transposed_1d": lambda: chain(
        L.Conv1DTranspose(3, 3, activation="relu"),
        L.Conv1DTranspose(2, 4, strides=3, padding="same", output_padding=1),
        L.ReLU(),
        L.Conv1DTranspose(2, 2, dilation_rate=2, use_bias=False),
        shape=(3, 2),
    ),
    "transposed": lambda: chain(
        L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
        L.Conv2DTranspose(2, (3, 2), strides=(1, 2), use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        shape=(2, 3, 2),
    ),
    "transposed_uneven": lambda: chain(
        L.Conv2DTranspose(3, (2, 4), strides=3, output_padding=(1, 2), activation="relu"),
        L.Conv2DTranspose(2, 3, dilation_rate=(1, 2), padding="same", activation="relu"),
        shape=(2, 1, 2),
    ),
    "transposed_3d": lambda: chain(
        L.Conv3DTranspose(3, 2, strides=(2, 1, 2), activation="relu"),
        L.Conv3DTranspose(2, (1, 2, 1), padding="same", dilation_rate=(1, 2, 1)),
        L.ReLU(),
        shape=(2, 2, 2, 2),
    ),
    "pools_1d": lambda: chain(
        L.Conv1D(3, 2, padding="same"),
        L.MaxPooling1D(3, 2),
        L.AveragePooling1D(2, 1, padding="same"),
        L.ReLU(),
        L.MaxPooling1D(2, padding="same"),
        shape=SEQUENCE,
    ),
    "pools_3d": lambda: chain(
        L.Conv3D(3, 2, padding="same"),
        L.AveragePooling3D(2, 1, padding="same"),
        L.MaxPooling3D((1, 2, 3), 1),
        L.AveragePooling3D((2, 1, 1)),
        L.ReLU(),
        shape=VOLUME,
    ),
    "global_pools_1d": lambda: functional(
        lambda x: L.Concatenate()(
            [
                L.GlobalMaxPooling1D()(L.Conv1D(3, 2)(x)),
                L.Flatten()(L.GlobalAveragePooling1D(keepdims=True)(L.ReLU()(x))),
            ]
        ),
        SEQUENCE,
    ),
    "global_pools_3d": lambda: functional(
        lambda x: L.Concatenate()(
            [
                L.Flatten()(L.GlobalMaxPooling3D(keepdims=True)(L.Conv3D(3, 2)(x))),
                L.GlobalAveragePooling3D()(L.ReLU()(x)),
            ]
        ),
        VOLUME,
    ),
    "moved_1d": lambda: chain(
        L.ZeroPadding1D((2, 1)),
        L.Cropping1D((1, 3)),
        L.Conv1D(2, 2),
        L.ReLU(),
        L.UpSampling1D(3),
        L.Flatten(),
        L.RepeatVector(2),
        L.Permute((2, 1)),
        L.Dense(3),
        L.ReLU(),
        shape=SEQUENCE,
    ),
    "moved": lambda: chain(
        L.Cropping2D(((1, 0), (0, 1))),
        conv(),
        L.ReLU(),
        L.UpSampling2D((2, 1)),
        L.CenterCrop(4, 2),
        L.Permute((3, 1, 2)),
        L.Dense(3),
        L.ReLU(),
    ),
    "moved_3d": lambda: chain(
        L.ZeroPadding3D(((1, 0), (0, 0), (0, 1))),
        L.Conv3D(2, 2),
        L.ReLU(),
        L.UpSampling3D((1, 2, 1)),
        L.Cropping3D(((1, 0), (2, 1), (0, 1))),
        shape=VOLUME,
    ),
    "differences": lambda: functional(differences),
    "extremes": lambda: functional(extremes),
    "resized": lambda: functional(resized),
    "cropped_to_be_resized": lambda: chain(
        L.CenterCrop(6, 4), conv(), L.ReLU(), L.Resizing(4, 5, crop_to_aspect_ratio=True)
    ),
    "einsum": lambda: chain(
        L.EinsumDense("abcd,cde->abe", (4, 3), bias_axes="e", activation="relu"),
        L.EinsumDense("...x,xy->...y", 2),
        L.ReLU(),
        L.EinsumDense("abc,bdc->abd", (4, 3), bias_axes="bd", activation="relu"),
    ),
    "at_each_time": lambda: functional(at_each_time, (2, 4, 2)),
    "channels_first": lambda: functional(channels_first, (2, 4, 5)),
    "more_channels_first": lambda: functional(more_channels_first, (2, 4, 5)),
    "batch_norm_of_other_axes": lambda: functional(normalised),
    "normalization_inverted": lambda: chain(
        L.Normalization(mean=[0.4, 0.5], variance=[0.04, 0.09], invert=True), conv(), L.ReLU()
    ),
}
QUICK = {"linear_images", "linear_sequences"}
LONG = set(ROWS) - QUICK
