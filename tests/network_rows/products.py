"""Networks that multiply values: gates, normalisations, attention, operations of two values."""

from collections.abc import Callable

import keras

from network_rows.chains import chain, conv, functional

L = keras.layers
ops = keras.ops


def squeezed(x):
    """Squeeze and excite: channels times gates that the whole image decides."""
    y = conv(activation="relu")(x)
    gate = L.Dense(2, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(y))
    return L.ReLU()(conv()(L.Multiply()([y, L.Dense(3, activation="sigmoid")(gate)])))


def gated(x):
    """Products of convolutions, of the input by itself, and of three values."""
    y, z = L.Conv2D(2, 3, padding="same")(x), L.Conv2D(2, 1)(x)
    return L.ReLU()(conv()(L.Multiply()([y, z]) + x * x + L.Multiply()([x, y, z])))


def attending(x):
    """Attention by heads, to itself with a causal mask and to others, and single attention."""
    tokens = L.Dense(4)(L.Reshape((4, 8))(x))
    normal = L.LayerNormalization()(tokens)
    mixed = tokens + L.MultiHeadAttention(2, 2)(normal, normal, use_causal_mask=True)
    grouped = L.GroupQueryAttention(2, 2, 1, use_gate=True)(mixed, tokens)
    single = L.Attention(use_scale=True)([grouped, tokens, mixed])
    return L.AdditiveAttention()([mixed, single])


def transformer(x):
    """Two blocks of a vision transformer: tokens of 2 x 2 pixels, positions, heads, layers."""
    tokens = L.Reshape((4, 4))(L.Conv2D(4, 2, strides=2)(x))
    for _ in range(2):
        normal = L.LayerNormalization()(tokens)
        tokens = tokens + L.MultiHeadAttention(2, 2)(normal, normal)
        wide = L.Dense(6, activation="relu")(L.LayerNormalization()(tokens))
        tokens = tokens + L.Dense(4)(wide)
    return L.GlobalAveragePooling2D()(L.Reshape((2, 2, 4))(tokens))


def arithmetic(x):
    """Operations on two values and on a value and constants, on either side."""
    y = L.Conv2D(2, 1)(x)
    y = 0.5 * y + 1.0 - ops.divide(y, 2.0) + ops.negative(0.5 * y) + (1.0 - y) * ops.ones((4, 1, 2))
    z = ops.maximum(y, x) + ops.minimum(y, 0.3) - ops.maximum(-0.2, y) * ops.minimum(x, y)
    return ops.relu(z) / (1.5 + ops.sigmoid(y)) + 1.0 / (1.5 + ops.square(y))


def moves(x):
    """Operations that move numbers, join and part values."""
    y = L.Conv2D(2, 3, padding="same")(x)
    left, right = ops.split(y, 2, axis=2)
    flipped = ops.flip(ops.transpose(right, (0, 2, 1, 3)), axis=1)
    stacked = ops.stack([left, ops.reshape(flipped, (-1, 4, 2, 2))], axis=-1)
    taken = ops.take(ops.pad(y, ((0, 0), (1, 0), (0, 1), (0, 0))), [0, 2, 2, 4], axis=1)
    repeated = ops.repeat(ops.expand_dims(y[:, 1:3, ::2, 1], -1), 2, axis=1)
    rest = ops.concatenate([ops.reshape(v, (-1, 1, 8)) for v in (repeated, y[:, 0])], axis=1)
    padded = ops.pad(rest, ((0, 0), (0, 0), (0, 2)), constant_values=0.5)
    flat = [L.Flatten()(v) for v in (stacked, taken, padded)]
    return ops.relu(ops.concatenate(flat, axis=-1))


def more_moves(x):
    """The other operations that move numbers, one after another."""
    y = L.Conv2D(4, 3, padding="same")(x)
    y = ops.roll(ops.depth_to_space(y, 2), 1, axis=2)
    y = ops.moveaxis(ops.swapaxes(ops.space_to_depth(y, 2), 1, 2), 3, 1)
    y = ops.tril(ops.triu(ops.tile(y, (1, 1, 2, 1)), -2), 2)
    y = ops.flip(ops.fliplr(ops.squeeze(ops.expand_dims(y, 1), 1))[:, ::-1], axis=2)
    first, *others = ops.unstack(y + ops.copy(y), axis=1)
    joined = ops.hstack([first, others[0]])
    corner = ops.diagonal(joined, axis1=1, axis2=2)
    return ops.relu(ops.concatenate([L.Flatten()(joined), corner], axis=1))


def reductions(x):
    """Sums, means, extremes and deviations along axes."""
    y = L.Conv2D(2, 3, padding="same")(x)
    parts = [
        ops.sum(y, axis=(1, 2)),
        ops.mean(y, axis=-1),
        ops.max(y, axis=(1, 3)),
        ops.amin(ops.amax(y, axis=1), axis=2),
        ops.min(y, axis=2, keepdims=True),
        ops.var(y, axis=1),
        ops.std(y + 3.0 * ops.concatenate([y, x], axis=1)[:, ::2], axis=(1, 2)),
    ]
    return ops.tanh(ops.concatenate([L.Flatten()(v) for v in parts], axis=-1))


def contractions(x):
    """Products of matrices, of two values and with constants."""
    y = L.Reshape((8, 4))(L.Conv2D(2, 1, activation="relu")(x))
    z = L.Reshape((4, 8))(x)
    square = ops.matmul(y, z)
    kernel = keras.random.normal((8, 3), seed=1)
    pairs = ops.einsum("bij,bjk->bik", square, ops.matmul(y, kernel[:4]))
    left = ops.matmul(ops.transpose(kernel), y)
    dots = L.Dot((2, 1))([pairs, left])
    rows = ops.matmul(dots, L.Dot(1, normalize=True)([y, dots]))
    mixed = ops.einsum("bij,ik->bkj", y, kernel)
    return ops.relu(ops.matmul(rows, ops.ones((4, 2)))[:, :3] + mixed[..., :2])


def curves(x):
    """Functions of every number, each where it is defined."""
    y = L.Conv2D(2, 3, padding="same", activation="sigmoid")(x)
    parts = [
        *(f(y) for f in (ops.exp, ops.sin, ops.cos, ops.erf, ops.square, ops.abs)),
        *(f(0.5 + y) for f in (ops.log, ops.sqrt, ops.rsqrt, ops.reciprocal)),
        ops.clip(y, 0.4, 0.6),
        (y - 0.5) ** 3 + (y + 0.2) ** 1.5 + y**2 + 1.0 / (0.5 + y) ** 2,
        ops.log_softmax(y, axis=-1),
        *(f(3.0 * y - 2.0) for f in (ops.gelu, ops.silu, ops.selu, ops.softsign, ops.hard_silu)),
        *(f(3.0 * y - 2.0) for f in (ops.hard_sigmoid, ops.log_sigmoid, ops.tanh_shrink)),
        *(f(3.0 * y - 2.0) for f in (ops.sparse_plus, ops.sparse_sigmoid, ops.hard_tanh)),
        ops.gelu(3.0 * y - 2.0, approximate=False),
    ]
    return ops.concatenate(parts, axis=-1)


ROWS: dict[str, Callable[[], keras.Model]] = {
    "squeeze_and_excite": lambda: functional(squeezed),
    "gated": lambda: functional(gated),
    "attention": lambda: functional(attending),
    "transformer": lambda: functional(transformer),
    "arithmetic": lambda: functional(arithmetic),
    "moves": lambda: functional(moves),
    "more_moves": lambda: functional(more_moves),
    "reductions": lambda: functional(reductions),
    "contractions": lambda: functional(contractions),
    "curved_operations": lambda: functional(curves),
    "softmax_within": lambda: chain(
        L.Conv2D(3, 3, activation="softmax"), L.Softmax(axis=(1, 2)), L.Dense(4, "softmax")
    ),
    "layer_normalization": lambda: chain(
        conv(), L.LayerNormalization(), L.ReLU(), L.LayerNormalization(axis=(1, 2)), L.ReLU()
    ),
    "other_normalizations": lambda: chain(
        L.Conv2D(4, 3, padding="same"),
        L.GroupNormalization(2),
        L.ReLU(),
        L.RMSNormalization(),
        conv(),
        L.UnitNormalization(),
        L.GroupNormalization(-1, epsilon=0.1, scale=False),
    ),
}
QUICK = {"squeeze_and_excite"}
LONG = set(ROWS) - QUICK
DEEP = {"attention", "transformer"}
ROUGH = {*DEEP, "other_normalizations"}
