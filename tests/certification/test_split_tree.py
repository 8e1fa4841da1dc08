"""Trees of splits, by hand."""

import numpy as np
import pytest

from rt_tf.certification.branching.split_tree import LEAF, SplitTree

PLACES = np.array([[3, 7], [3, 9], [6, 0]], np.int32)


def test_a_tree_is_told_in_preorder_with_multipliers_from_the_root_down() -> None:
    growth = SplitTree()
    active, inactive = growth.split(0, 2)
    first, second = growth.split(inactive, 0)
    slopes = np.array([0.25, 0.5, 0.75], np.float32)
    growth.close(second, slopes, np.array([3.0, 9.0, 30.0], np.float32))
    growth.close(active, slopes + 0.1, np.array([9.0, 9.0, 1.0], np.float32))
    growth.close(first, slopes - 0.1, np.array([2.0, 9.0, 20.0], np.float32))
    tree = growth.tree(PLACES, np.array([1, 2]))
    np.testing.assert_array_equal(tree.nodes, [[6, 0], LEAF, [3, 7], LEAF, LEAF])
    assert [leaf.multipliers.tolist() for leaf in tree.leaves] == [[1.0], [20.0, 2.0], [30.0, 3.0]]
    np.testing.assert_allclose([leaf.slopes[0] for leaf in tree.leaves], [0.6, 0.4, 0.5], atol=1e-3)


def test_an_unsplit_row_is_one_leaf() -> None:
    growth = SplitTree()
    growth.close(0, np.ones(3, np.float32), np.zeros(3, np.float32))
    tree = growth.tree(PLACES, np.arange(3))
    assert tree.nodes.tolist() == [list(LEAF)]
    assert len(tree.leaves) == 1
    assert tree.leaves[0].multipliers.size == 0


def test_a_tree_with_an_open_leaf_is_no_proof() -> None:
    growth = SplitTree()
    active, _ = growth.split(0, 1)
    growth.close(active, np.ones(3, np.float32), np.zeros(3, np.float32))
    with pytest.raises(KeyError):
        growth.tree(PLACES, np.arange(3))
