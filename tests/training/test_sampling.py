"""The examples in a sample of the batch, wherever its replicas hold them."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf import replicas
from rt_tf.training.objectives.worst_case import sample

VALUES = np.arange(10.0) ** 2  # of the examples of a whole batch


def held_by_each(monkeypatch: pytest.MonkeyPatch, parts: list[int], count: int):  # type: ignore[no-untyped-def]
    """The sample and the values of each replica, whose place among the others is simulated."""
    monkeypatch.setattr(replicas, "count", lambda: len(parts))
    monkeypatch.setattr(replicas, "whole", lambda _: tf.constant(sum(parts)))
    for number, held in enumerate(parts):
        first = sum(parts[:number])
        monkeypatch.setattr(replicas, "first", lambda _, first=first: tf.constant(first))
        yield sample(count, tf.constant(held)), VALUES[first : first + held]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("parts", [[5, 5], [7, 3], [1, 9], [2, 3, 4, 1]])
def test_weighted_means_of_replicas_add_up_to_the_mean_of_the_sample(monkeypatch, parts, count):
    expected = np.mean([VALUES[i * 10 // count] for i in range(count)])
    total = 0.0
    for drawn, values in held_by_each(monkeypatch, parts, count):
        assert drawn.weights is not None
        weighted = drawn.weights.numpy() * values[drawn.rows.numpy()]
        total += len(values) / 10 * np.mean(weighted)
    assert total == pytest.approx(expected, rel=1e-6)


def test_a_replica_without_an_example_of_it_has_its_first_at_weight_0(monkeypatch):
    whole = [drawn for drawn, _ in held_by_each(monkeypatch, [4, 4, 2], 1)]
    assert [drawn.rows.numpy().tolist() for drawn in whole] == [[0], [0], [0]]
    assert [drawn.weights.numpy().tolist() for drawn in whole] == [[2.5], [0.0], [0.0]]


def test_one_replica_holds_all_of_it():
    drawn = sample(4, tf.constant(10))
    assert drawn.rows.numpy().tolist() == [0, 2, 5, 7]
    assert drawn.weights is None
