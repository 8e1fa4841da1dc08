"""The rounding of arithmetic, as part of a certificate.

Error model. A sum of m products and a bias, in float32, in any order, with or without fused
multiply-add, differs from the exact value by at most `gamma(m + 1) (|W||x| + |b|)`, and by
`m tiny (1 + max|W| + max|x|)` where numbers below the normal range are flushed to zero (Higham,
Accuracy and Stability of Numerical Algorithms, ch. 3). Sound arithmetic widens every bound by this
error of the network that will be served and by that of the bound's own sums. The bounds then hold
for the values that the served network computes, not for its idealisation.
"""

from collections.abc import Sequence

import tensorflow as tf

from rt_tf.network.ops import Activation, Affine, Bent, Lines, Planes, Positive, Tensor

UNIT = 2.0**-24  # float32: the largest relative error of one rounding
DOUBLE_UNIT = 2.0**-53
TINY = 2.0**-126  # the smallest normal float32

BLOCK = 64  # the longest sum that constants take in float32

ARITHMETICS = ("sound", "fast")


def gamma(terms: int) -> float:
    """Higham's gamma_n = n u / (1 - n u), doubled in the denominator to cover its own use."""
    if terms * UNIT > 0.25:
        raise ValueError(f"a sum of {terms} terms is too long to bound in this precision")
    return terms * UNIT / (1.0 - 2.0 * terms * UNIT)


def spare(terms: int) -> float:
    """The factor 1 / (1 - gamma) that makes a computed sum of magnitudes at least the exact one."""
    return 1.0 + 2.0 * gamma(terms + 4)  # gamma is at most 1/2


def away(bound: Tensor, sign: float) -> Tensor:
    """A bound [batch, ...], moved by more than one rounding to float32: up, or down for sign -1."""
    return bound + sign * (2.0 * UNIT * tf.abs(bound) + TINY)


def forward_error(op: Affine, size: Tensor, magnitude: Tensor) -> Tensor:
    """Bounds the rounding of an affine operation and of its interval image: [batch, ...].

    size: a bound of |x|. magnitude: |W| size + |b|, [batch, ...]. Network and bound sum the
    same magnitudes, so the error counts twice; the 4 further terms pay for the few roundings
    around the sums.
    """
    flushed = tf.reshape(underflow(op, size), [-1] + [1] * (magnitude.shape.rank - 1))
    return 2.0 * gamma(op.terms + 4) * spare(op.terms) * magnitude + flushed


def underflow(op: Affine, size: Tensor) -> Tensor:
    """The most that flushing tiny numbers to zero can change: [batch]. size: a bound of |x|."""
    reach = 1.0 + tf.reduce_max(tf.abs(op.kernel)) + largest(size)
    return 4.0 * (op.terms + op.transposed_terms) * TINY * reach


def largest(values: Tensor) -> Tensor:
    """The largest value of each example, [batch, ...] -> [batch]."""
    return tf.reduce_max(values, axis=list(range(1, values.shape.rank)))


def backward_error(op: Affine | Positive, size: Tensor, magnitude: Tensor) -> Tensor:
    """The price of a unit of coefficient for the rounding of the network's and a pass's sums.

    size: a bound of |x|. magnitude: |W| size + |b|, [batch, ...]. The pass's own sums are the
    transposed map and the product with the bias, in blocks (`sum_by_blocks`).
    """
    if isinstance(op, Positive):
        return 2.0 * gamma(op.terms + 4) * spare(op.terms) * magnitude + 2.0 * op.terms * TINY
    backward = gamma(op.transposed_terms + 4) + gamma(BLOCK + 4)
    flushed = tf.reshape(underflow(op, size), [-1] + [1] * (magnitude.shape.rank - 1))
    return (gamma(op.terms + 4) + backward) * spare(op.terms) * magnitude + flushed


def relaxation_error(
    op: Bent, lines: Lines | Planes, sources: Sequence[Tensor], size: Tensor
) -> Tensor:
    """The price of a unit of coefficient for the rounding of a node and of its lines: [batch, ...].

    sources, size: bounds of the absolute inputs and output, each [batch, ...]; of a product by a
    box there are lines in the first input alone.
    """
    reach = size
    for (lower, upper), source in zip(lines.slopes, sources, strict=False):
        reach += tf.maximum(tf.abs(lower), tf.abs(upper)) * source
    offsets = tf.abs(lines.upper_offset)
    if lines.lower_offset is not None:
        offsets += tf.abs(lines.lower_offset)
    values = _of_value(op, sources) + (16.0 + 2.0 * _ulps(op)) * UNIT * reach
    return values + 2.0 * gamma(BLOCK + 4) * offsets + 8.0 * TINY


def product_error(x: Tensor, y: Tensor, magnitude: Tensor) -> Tensor:
    """Bounds the rounding of a product, here and served: [batch, ...].

    x, y: bounds of the absolute factors. magnitude: their product.
    """
    return 8.0 * UNIT * magnitude + _flushed_product(x, y)


def _of_value(op: Bent, sources: Sequence[Tensor]) -> Tensor | float:
    """The part of a value's error that does not grow with the value."""
    return 2.0 * op.absolute if isinstance(op, Activation) else _flushed_product(*sources)


def _ulps(op: Bent) -> float:
    return op.ulps if isinstance(op, Activation) else 1.0


def _flushed_product(x: Tensor, y: Tensor) -> Tensor:
    """The most that flushing tiny factors, or a tiny product, to zero can change."""
    return 8.0 * TINY * (1.0 + x + y)


def sum_by_blocks(products: Tensor) -> Tensor:
    """Sums over all axes but two, [b, rows, ...] -> [b, rows], in float64.

    Blocks of up to 64 products are summed in float32.
    """
    terms = products.shape[2:].num_elements()
    block = max(k for k in range(1, BLOCK + 1) if terms % k == 0)
    blocks = tf.reshape(
        products, tf.concat([tf.shape(products)[:2], [terms // block, block]], axis=0)
    )
    return tf.reduce_sum(tf.cast(tf.reduce_sum(blocks, axis=3), tf.float64), axis=2)


def total(values: Tensor) -> Tensor:
    """The sum of each example's values, [batch, ...] -> [batch]."""
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def products_are_exact(one: Tensor, size: int = 32) -> Tensor:
    """Whether matrix products and convolutions here keep float32's digits, unlike TF32's.

    The answer is a scalar. one: the number 1, a scalar computed at run time so that nothing of the
    probe is folded away.
    """
    fine = tf.linalg.diag(tf.fill([size], one * (1.0 + 2.0**-12)))  # TF32 would drop the 2^-12
    by_product = tf.matmul(fine, tf.eye(size) * one)
    kernel = (tf.eye(size) * one)[tf.newaxis, tf.newaxis]
    by_convolution = tf.nn.conv2d(fine[tf.newaxis, tf.newaxis], kernel, 1, "VALID")[0, 0]
    return tf.reduce_all((by_product == fine) & (by_convolution == fine))
