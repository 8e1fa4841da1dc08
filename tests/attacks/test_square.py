"""The Square attack: near the worst case of linear classifiers, by forward passes alone."""

import dataclasses

import linear_tasks as linear
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.blackbox import square_lp, square_table
from rt_tf.attacks.blackbox.square import square
from rt_tf.attacks.blackbox.windows import covered, mountains, offsets, sides, tiles
from rt_tf.attacks.starts import zero
from rt_tf.domain import Domain
from rt_tf.errors import UserError


@pytest.mark.parametrize(("name", "near"), [("linf", 0.99), ("l2", 0.6), ("l1", 0.8)])
def test_linear_losses_come_close_to_their_greatest(name, near):
    x, w = linear.images(5, (6, 5, 2)), linear.slopes((6, 5, 2))
    task = linear.task(name, x, w, [-99.0])
    run = tf.function(lambda: square(task, zero(task), steps=1000), autograph=False)
    point = run()
    assert task.region.inside(point).numpy().all()
    for image, value in zip(x, task.values(point).numpy() + 99.0, strict=True):
        image = image.ravel().astype(float)
        best = linear.greatest(name, w[:, 0], image, linear.RADII[name])
        clean = w[:, 0] @ image
        assert near * (best - clean) <= value - clean <= best - clean + 2e-5


@pytest.mark.parametrize("name", linear.THREATS)
def test_no_gradients_are_taken_and_queries_are_counted(name):
    usual, queries = linear.task(name, linear.images(), linear.slopes(), [-99.0]), []

    @tf.custom_gradient
    def network(x):
        queries.append(len(x))

        def refuse(upstream):
            raise AssertionError("a gradient was taken")

        return usual.network(x), refuse

    square(dataclasses.replace(usual, network=network), zero(usual), steps=7)
    assert queries == [3] * 7


def test_other_inputs_than_images_are_refused_but_within_linf():
    task = linear.task("l2", linear.images(2, (12,)), linear.slopes((12,)), [-99.0])
    with pytest.raises(UserError, match=r"expected images .*; received \[12\]"):
        square(task, zero(task), steps=3)


def test_sides_shrink_as_in_the_paper():
    side = sides(28, 28, 10000)
    assert side[0] == 25  # sqrt(.8) 28
    assert [side[11], side[51], side[201], side[9999]] == [18, 13, 9, 1]
    assert (np.diff(side) <= 0).all()
    np.testing.assert_array_equal(sides(28, 28, 1000), side[::10])
    odd = sides(28, 28, 10000, least=3, odd=True)
    assert (odd % 2 == 1).all()
    assert odd.min() == 3
    assert sides(2, 8, 100, least=3, odd=True).max() == 1
    assert sides(2, 8, 0).size == 0


def test_windows_lie_in_the_image_at_every_place():
    chances = noise.uniform(noise.keys(tf.constant([1], tf.int64), tf.range(600)), [2])
    rows, columns = offsets(4, 6, tf.constant(2), chances)
    window = covered(rows, columns, tf.constant(2)).numpy()[..., 0]
    assert (window.sum(axis=(1, 2)) == 4).all()
    corners = {tuple(np.argwhere(one)[0]) for one in window}
    assert corners == {(r, c) for r in range(3) for c in range(5)}


@pytest.mark.parametrize("side", [1, 3, 5, 8])
def test_mountains_are_the_papers_sums(side):
    rows, columns = np.arange(side)[None, :, None], np.arange(side)[None, None, :]
    pattern = mountains(tf.constant(rows, tf.int32), tf.constant(columns, tf.int32), side).numpy()[
        0, ..., 0
    ]
    half = side // 2
    expected = np.hstack([_peak(side, half), -_peak(side, side - half)])
    np.testing.assert_allclose(pattern, expected, rtol=1e-5)


def _peak(height, width):
    """The formula with indices from 1: n + 1 - k from the middle outwards."""
    n = height // 2
    peak = np.zeros((height, width))
    for r in range(1, height + 1):
        for s in range(1, width + 1):
            m = n - max(abs(r - height // 2 - 1), abs(s - width // 2 - 1))
            peak[r - 1, s - 1] = sum(1.0 / (n + 1 - k) ** 2 for k in range(m + 1))
    return peak


def test_tiles_part_the_image():
    tiling = tiles(7, 3, 5)
    assert tiling.tile.shape == (7, 3)
    assert tiling.side == 2
    assert (tiling.tile[:, 0] == 5 * np.array([0, 0, 1, 2, 2, 3, 4])).all()
    assert tiling.rows.numpy().ravel().tolist() == [0, 1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("name", ["l2", "l1"])
def test_proposals_use_up_the_radius(name):
    """In a pixel range that nothing is cut off by."""
    x = np.full((4, 9, 9, 3), 0.5, np.float32)
    region = dataclasses.replace(linear.region(name, x), domain=Domain(-9.0, 9.0))
    keys = noise.keys(tf.constant([5], tf.int64), tf.range(4))
    first = square_lp.begin(region, keys)
    second = square_lp.propose(region, first, tf.constant(3), keys)
    for point in (first, second):
        np.testing.assert_allclose(linear.size(name, point, x), linear.RADII[name], rtol=1e-5)
    assert (first != second).numpy().any(axis=(1, 2, 3)).all()


# --- rows of tables


def test_a_tables_linear_losses_come_close_to_their_greatest():
    x, w = linear.images(5, (30,)), linear.slopes((30,))
    task = linear.task("linf", x, w, [-99.0])
    point = tf.function(lambda: square(task, zero(task), steps=600), autograph=False)()
    assert task.region.inside(point).numpy().all()
    for row, value in zip(x, task.values(point).numpy() + 99.0, strict=True):
        best = linear.greatest("linf", w[:, 0], row.astype(float), linear.RADII["linf"])
        clean = w[:, 0] @ row
        assert 0.97 * (best - clean) <= value - clean <= best - clean + 2e-5


def test_a_run_of_columns_is_as_long_as_the_square_and_goes_round():
    x = tf.fill([50, 10], 0.5)
    region = linear.task("linf", x.numpy(), linear.slopes((10,)), [0.0]).region
    keys = noise.keys(tf.constant([3, 4], tf.int64), tf.range(50))
    for side, length in ((1, 1), (4, 10), (2, 4)):
        moved = np.asarray(square_table.propose(region, x, tf.constant(side), keys) != 0.5)
        assert (moved.sum(axis=1) == length).all()
    assert any(row[0] and row[-1] for row in moved)
