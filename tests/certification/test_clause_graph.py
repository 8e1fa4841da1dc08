"""A clause on top of a network, and its offsets in float32."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.certification.properties.clause_graph import LARGEST, clause_graph, lowered, raised
from rt_tf.interchange.property import TINY
from tests.certification.clauses import dense_relu, graph_of


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_its_outputs_are_zero_and_the_largest_excess(count: int) -> None:
    graph = graph_of(dense_relu(3, 6, 4, seed=0))
    rng = np.random.default_rng(count)
    rows, offsets = rng.integers(-2, 3, (count, 4)), rng.standard_normal(count)
    x = tf.constant(rng.standard_normal((50, 3)), tf.float32)
    both = clause_graph(graph, tf.constant(rows, tf.float32), tf.constant(offsets, tf.float32))(x)
    excess = graph(x).numpy() @ rows.T - offsets
    np.testing.assert_allclose(both[:, 1], excess.max(axis=1), atol=1e-5)
    assert not both[:, 0].numpy().any()


def test_offsets_are_rounded_to_the_side_that_claims_less() -> None:
    numbers = [Fraction(1, 3), Fraction(2), Fraction(0), Fraction(1, 10**50)]
    numbers += [-number for number in numbers]
    for low, number, high in zip(lowered(numbers), numbers, raised(numbers), strict=True):
        assert Fraction(float(low)) <= number <= Fraction(float(high))
        assert float(high) == 0.0 or abs(high) >= TINY
        assert float(high) - float(low) <= max(2.0**-23 * abs(number), 2.0 * TINY)


def test_a_float32_number_is_above_the_lowered_offset_if_above_the_offset() -> None:
    near = [np.nextafter(np.float32(0.1), np.float32(end)) for end in (-1, 1)]
    numbers = [np.float32(0.1), *near]
    offsets = [Fraction(float(n)) + Fraction(k, 10**12) for n in numbers for k in (-1, 0, 1)]
    for number, offset in itertools.product(numbers, offsets):
        assert (number > lowered([offset])[0]) == (Fraction(float(number)) > offset)


def test_offsets_beyond_float32_are_infinite_where_a_number_would_claim_more() -> None:
    assert raised([2 * LARGEST, -2 * LARGEST]).tolist() == [np.inf, -float(LARGEST)]
    assert lowered([2 * LARGEST, -2 * LARGEST]).tolist() == [float(LARGEST), -np.inf]
