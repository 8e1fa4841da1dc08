"""Lower medians along an axis of few values at very many places: a sorting network, elementwise."""

import functools
from collections.abc import Iterator

import tensorflow as tf

from rt_tf.network.ops import Tensor

FEW = 64  # values up to which a network of minima and maxima is used; more are sorted


@tf.custom_gradient
def median(values: Tensor) -> tuple[Tensor, object]:
    """The lower median along axis 1: [batch, values, ...] -> [batch, ...].

    Its gradient goes to the values that equal it.
    """
    few = values.shape[1] is not None and values.shape[1] <= FEW
    medians = _by_network(values) if few else _by_sorting(values)

    def gradient(upstream: Tensor) -> Tensor:
        chosen = tf.cast(values == medians[:, tf.newaxis], values.dtype)
        return chosen * upstream[:, tf.newaxis]

    return medians, gradient


def _by_sorting(values: Tensor) -> Tensor:
    count = tf.shape(values)[1]
    last = tf.transpose(values, [0, *range(2, values.shape.rank), 1])
    return tf.math.top_k(last, count // 2 + 1, sorted=True).values[..., -1]


def _by_network(values: Tensor) -> Tensor:
    ranked: list[Tensor] = tf.unstack(values, axis=1)
    middle = (len(ranked) - 1) // 2
    for i, j, least, largest in _comparisons(len(ranked), middle):
        a, b = ranked[i], ranked[j]
        if least:
            ranked[i] = tf.minimum(a, b)
        if largest:
            ranked[j] = tf.maximum(a, b)
    return ranked[middle]


@functools.cache
def _comparisons(count: int, rank: int) -> list[tuple[int, int, bool, bool]]:
    """The comparisons that the value of a rank depends on: of which places, and which outcomes."""
    needed, kept = {rank}, []
    for i, j in reversed(list(_merge_exchange(count))):
        if i in needed or j in needed:
            kept.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return kept[::-1]


def _merge_exchange(count: int) -> Iterator[tuple[int, int]]:
    """Batcher's odd-even merge sort (Knuth, The Art of Computer Programming, 5.2.2M)."""
    run = 1
    while run < count:
        apart = run
        while apart:
            for first in range(apart % run, count - apart, 2 * apart):
                for i in range(first, min(first + apart, count - apart)):
                    if i // (2 * run) == (i + apart) // (2 * run):
                        yield i, i + apart
            apart //= 2
        run *= 2
