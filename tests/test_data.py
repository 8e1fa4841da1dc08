"""Data sets: what is loaded, in what order, and what is said when there is nothing to load."""

import functools
import hashlib
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from rt_tf import data
from rt_tf.data import sources
from rt_tf.data.augment import draws, flip_and_crop
from rt_tf.data.dataset import hold_out
from rt_tf.errors import UserError


@pytest.fixture(scope="module")
def digits(digits_dir):
    return data.load("digits", digits_dir, validation=0.1, seed=0)


def synthetic(n=600, side=28, pixel_max=255, augmentation=None, index=None):
    """A split whose label is its position, large enough at 28x28 not to be converted at once."""
    pixels = np.random.default_rng(0).integers(0, pixel_max + 1, (n, side, side, 1), dtype=np.uint8)
    index = np.arange(n) if index is None else index
    return data.Split("train", pixels, np.arange(n), index, pixel_max, augmentation)


def columns(dataset):
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


class TestDigits:
    def test_sizes_and_types(self, digits):
        assert [len(s) for s in (digits.train, digits.validation, digits.test)] == [1293, 144, 360]
        assert digits.shape == (8, 8, 1)
        assert digits.classes == 10
        assert digits.version == "1.0.0"
        for split in (digits.train, digits.validation, digits.test):
            assert split.pixels.dtype == np.uint8
            assert split.labels.dtype == split.index.dtype == np.int64
            assert split.pixel_max == 16
            assert split.pixels.max() == 16

    def test_every_example_of_scikit_learn_once(self, digits):
        images, labels = load_digits(return_X_y=True)
        expected = sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))
        splits = (digits.train, digits.validation, digits.test)
        found = [
            (image.astype(np.float64).tobytes(), label)
            for split in splits
            for image, label in zip(split.pixels, split.labels, strict=True)
        ]
        assert sorted(found) == expected

    def test_test_split_is_stratified(self, digits):
        _, whole = load_digits(return_X_y=True)
        assert np.all(np.abs(np.bincount(digits.test.labels) - np.bincount(whole) / 5) < 1)

    def test_index_is_the_position_in_the_published_split(self, digits):
        other = data.load("digits", digits.folder, validation=200, seed=1) if False else digits
        joined = np.concatenate([other.train.index, other.validation.index])
        assert sorted(joined) == list(range(1437))
        assert list(digits.test.index) == list(range(360))
