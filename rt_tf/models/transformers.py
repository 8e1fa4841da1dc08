"""Networks of tokens that attend to each other."""

from typing import Unpack

import keras

from rt_tf import layers
from rt_tf.errors import UserError
from rt_tf.models.initializers import initializer
from rt_tf.models.parts import Options, Parts, Shape, check_shape

HEADS = 2
TOKENS = 4  # along each side of an image


def vit(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """A small vision transformer (Dosovitskiy et al. 2021): 16 tokens, width 32, 2 blocks, 2 heads.

    A token's place is told by a bias of its own. UserError with batch normalisation: the blocks
    have layer normalisation.
    """
    check_shape("vit", input_shape, TOKENS)
    parts = Parts(**options)
    if parts.batch_norm:
        raise UserError("model 'vit': expected no batch_norm: its blocks have layer normalisation")
    image, x = parts.image(input_shape)
    width = HEADS * parts.width(16)
    tokens = _tokens(x, width, parts.init)
    for number in (1, 2):
        tokens = _block(tokens, width, number, parts.init)
    pooled = layers.GlobalAveragePooling1D(name="mean")(tokens)
    return parts.model("vit", image, pooled, classes)


def _tokens(x: keras.KerasTensor, width: int, init: str) -> keras.KerasTensor:
    """The patches of images as tokens [batch, tokens, width]."""
    height, breadth, channels = x.shape[1:]
    rows, columns = height // TOKENS, breadth // TOKENS
    x = layers.Reshape((TOKENS, rows, TOKENS, columns, channels), name="patches")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name="by_patch")(x)
    x = layers.Reshape((TOKENS**2, rows * columns * channels), name="patch_rows")(x)
    embedding = layers.EinsumDense(
        "btp,pd->btd",
        (TOKENS**2, width),
        bias_axes="td",
        kernel_initializer=initializer(init),
        name="tokens",
    )
    return embedding(x)


def _block(tokens: keras.KerasTensor, width: int, number: int, init: str) -> keras.KerasTensor:
    """A block of attention and one of two dense layers, each beside what it reads."""
    normal = layers.LayerNormalization(name=f"norm{number}")(tokens)
    attention = layers.MultiHeadAttention(
        HEADS, width // HEADS, kernel_initializer=initializer(init), name=f"attention{number}"
    )
    tokens = layers.Add(name=f"attended{number}")([tokens, attention(normal, normal)])
    y = layers.LayerNormalization(name=f"norm{number}_dense")(tokens)
    for name, units in (("wide", 2 * width), ("narrow", width)):
        y = layers.Dense(units, kernel_initializer=initializer(init), name=f"{name}{number}")(y)
        y = layers.ReLU(name=f"relu{number}")(y) if name == "wide" else y
    return layers.Add(name=f"block{number}")([tokens, y])
