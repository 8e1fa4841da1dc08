"""Clauses that bounds exclude, for many boxes at once."""

import numpy as np
import pytest

from rt_tf.certification.properties import exclusion
from rt_tf.certification.properties.exclusion import Screen
from rt_tf.interchange.property import Clause
from tests.certification.clauses import clause, dense_relu, graph_of


def boxes(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    lower = random.uniform(-1.0, 0.5, (count, 2)).astype(np.float32)
    return lower, lower + random.uniform(0.0, 0.5, (count, 2)).astype(np.float32)


def clauses(count: int) -> list[list[Clause]]:
    """One to three for each box, of one or two rows, some of them shared."""
    random = np.random.default_rng(1)
    rows = [[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]]

    def one() -> Clause:
        picked = random.choice(3, random.integers(1, 3), replace=False)
        return clause([rows[k] for k in picked], list(random.normal(0.0, 0.5, len(picked))))

    return [[one() for _ in range(random.integers(1, 4))] for _ in range(count)]


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_many_boxes_are_bounded_as_each_by_itself(rows: int, monkeypatch) -> None:
    """In passes of so many rows, compiled where there are many passes."""
    monkeypatch.setattr(exclusion, "OFTEN", 20)
    screen = Screen(graph_of(dense_relu(2, 5, 4, 3, seed=4)), (2,), lambda: 60.0)
    (lower, upper), by_box = boxes(15), clauses(15)
    alone = [
        screen.left_open("crown_ibp", (lower[k : k + 1], upper[k : k + 1]), [by_box[k]])[0]
        for k in range(15)
    ]
    assert 5 < sum(map(len, alone)) < sum(map(len, by_box)) - 5
    screen.rows = rows
    together = screen.left_open("crown_ibp", (lower, upper), by_box)
    assert [list(map(id, left)) for left in together] == [list(map(id, left)) for left in alone]


def test_boxes_that_time_is_over_for_stay_open() -> None:
    left = iter([1.0, 1.0, 0.0])
    screen = Screen(graph_of(dense_relu(2, 5, 4, 3, seed=4)), (2,), lambda: next(left))
    screen.rows = 1
    never = clause([[1.0, 0.0, 0.0]], [-1e6])
    assert screen.left_open("crown_ibp", boxes(4), [[never]] * 4) == [[], [], [never], [never]]
