"""Data sets of other kinds: points, images of many sizes, further examples, and made-up ones."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from rt_tf import catalogue, data
from rt_tf.data.augment import crop, cut_out, draws
from rt_tf.data.rows import LazyRows
from rt_tf.data.sources import cache, tfds_sets
from rt_tf.data.sources.preparing import Origin
from rt_tf.data.sources.resizing import fitted
from rt_tf.errors import UserError


class ManySizes(tfds.core.GeneratorBasedBuilder):
    """Images of four sizes; a class for each, and a colour for each image."""

    VERSION = tfds.core.Version("1.0.0")
    SIZES = ((40, 60), (60, 40), (32, 32), (90, 33))

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(num_classes=4),
        }
        info = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=info, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(40), "validation": self._generate_examples(8)}

    def _generate_examples(self, count):
        for i in range(count):
            image = np.full((*self.SIZES[i % 4], 3), i, np.uint8)
            yield i, {"image": image, "label": i % 4}


@pytest.fixture
def many_sizes(tmp_path, monkeypatch):
    """The folder of a data set of images of many sizes, in ImageNet's place."""
    ManySizes(data_dir=str(tmp_path)).download_and_prepare()
    origin = Origin(
        "imagenet", lambda data_dir: ManySizes(data_dir=data_dir), by_hand="https://a.page"
    )
    imagenet = tfds_sets.TfdsSet(origin, (28, 28, 3), 4, 40, test="validation", resized=True)
    monkeypatch.setattr(tfds_sets, "IMAGENET", imagenet)
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    return tmp_path


TABLE = "breast_cancer"


# --- images of many sizes


def test_images_of_many_sizes_are_brought_to_one_and_read_from_disk(many_sizes):
    dataset = data.load("imagenet", many_sizes, validation=8)
    assert (dataset.shape, dataset.classes, dataset.test.name) == ((28, 28, 3), 4, "validation")
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [32, 8, 8]
    assert isinstance(dataset.train.rows, LazyRows)
    assert isinstance(dataset.train.rows.array, np.memmap)
    for i, index in enumerate(dataset.train.index):
        assert (dataset.train.rows[[i]] == index).all()  # its colour
        assert dataset.train.labels[i] == index % 4
    again = data.load("imagenet", many_sizes, validation=8)
    assert again.train.checksum == dataset.train.checksum


def test_a_folder_that_takes_no_resized_images_is_one_line(many_sizes, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(UserError, match="cache_dir: expected room.* No space left on device"):
        data.load("imagenet", many_sizes, validation=8)


def test_rows_on_disk_make_the_same_batches_as_in_memory(many_sizes):
    split = data.load("imagenet", many_sizes, validation=8).train
    held = data.Split("train", split.rows[:], split.labels, split.index, 255)
    for changes in (data.AugmentationOptions(), data.AugmentationOptions(cutout=9)):
        ours, theirs = (
            list(data.batches(s, 8, 0, 1, options=changes).as_numpy_iterator())
            for s in (split, held)
        )
        for mine, other in zip(ours, theirs, strict=True):
            for a, b in zip(mine, other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_the_middle_of_an_image_is_kept():
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = 200
    small = fitted(tf.constant(image), (28, 28, 3)).numpy()
    assert small.shape == (28, 28, 3)
    assert (small == 200).all()  # 64 pixels of 128, at half the size, are more than 28
    image = np.zeros((64, 64, 3), np.uint8)
    image[4:60, 4:60] = 100
    small = fitted(tf.constant(image), (28, 28, 3)).numpy()
    assert (small[1:-1, 1:-1] == 100).all()  # 7/8 of the side are kept


def test_a_set_that_is_prepared_by_hand_says_where_it_is_told(tmp_path):
    with pytest.raises(UserError, match="by hand, as https://www.tensorflow.org/.*imagenet2012"):
        data.load("imagenet", tmp_path)


# --- points


def test_points_are_far_apart_and_the_same_in_all_splits(tmp_path):
    dataset = data.load("points", tmp_path)
    points = dataset.test.images().reshape(-1, 2)
    assert points.shape == (12, 2)
    apart = np.abs(points[:, None] - points[None]).max(-1) + np.eye(12)
    assert apart.min() > 0.155  # .16, rounded to pixels of 1/255
    assert sorted(set(dataset.test.labels)) == [0, 1]
    label_of = {tuple(p): label for p, label in zip(points, dataset.test.labels, strict=True)}
    for split in (dataset.train, dataset.validation):
        for point, label in zip(split.images().reshape(-1, 2), split.labels, strict=True):
            assert label_of[tuple(point)] == label


# --- made-up images


@pytest.mark.parametrize("name", [name for name in catalogue.DATASETS if name != TABLE])
def test_made_up_images_have_a_data_sets_shape_and_number(name):
    source, dataset = catalogue.resolve("dataset", name), data.synthetic(name)
    assert len(dataset.train) + len(dataset.validation) == source.examples
    assert dataset.shape == source.shape
    images = dataset.train.images(slice(3))
    assert images.shape == (3, *source.shape)
    assert 0.0 <= images.min() <= images.max() <= 1.0
    assert set(np.unique(dataset.train.labels)) == set(range(source.classes))


# --- further examples


@pytest.fixture
def digits(digits_dir):
    return data.load("digits", digits_dir)


def file_of(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "extra.npz", **arrays)
    return folder / "extra.npz"


def test_further_examples_join_every_batch(digits, tmp_path):
    images = np.full((30, 8, 8, 1), 16, np.uint8)
    split = data.read_extra(file_of(tmp_path, images=images, labels=np.arange(30) % 10), digits)
    extra = data.Extra(split, 0.4)
    assert data.steps(digits.train, 50, extra) == len(digits.train) // 30
    batches = list(data.batches(digits.train, 50, 0, 0, extra=extra).as_numpy_iterator())
    assert len(batches) == len(digits.train) // 30
    indices, places = [], set()
    for pixels, labels, index in batches:
        further = (pixels == 1.0).all(axis=(1, 2, 3))
        assert further.sum() == 20
        np.testing.assert_array_equal(labels[further], index[further] % 10)
        indices += index[~further].tolist()
        assert further[:25].any()
        assert not further[:25].all()
        places.add(further.tobytes())
    assert len(places) == len(batches)  # no place in a batch is always one's own
    assert len(set(indices)) == len(indices)  # a pass over the data set's own
    rest = list(data.batches(digits.train, 50, 0, 0, skip=5, extra=extra).as_numpy_iterator())
    for a, b in zip(rest, batches[5:], strict=True):
        np.testing.assert_array_equal(a[0], b[0])


def test_images_without_labels_get_those_of_a_network(digits, tmp_path):
    images = digits.test.rows[:30]
    path = file_of(tmp_path, images=images)
    split = data.read_extra(path, digits, lambda x: (x[:, 0, 3, 0] * 16).astype(int) % 10)
    np.testing.assert_array_equal(split.labels, images[:, 0, 3, 0] % 10)
    with pytest.raises(UserError, match="expected `labels` in .*, or --extra_labels_from"):
        data.read_extra(path, digits)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"labels": np.arange(3)}, "received none"),
        ({"images": np.zeros((3, 8, 8, 1), np.float32)}, "received float32"),
        ({"images": np.zeros((3, 9, 8, 1), np.uint8)}, r"received uint8 \[3, 9, 8, 1\]"),
        ({"images": np.zeros((0, 8, 8, 1), np.uint8)}, "at least one image"),
        (
            {"images": np.zeros((3, 8, 8, 1), np.uint8), "labels": np.array([0, 1, 10])},
            "a label from 0 to 9 .* from 0 to 10",
        ),
        (
            {"images": np.zeros((3, 8, 8, 1), np.uint8), "labels": np.array([0, 1])},
            r"for each of the 3 images; received \(2,\)",
        ),
    ],
)
def test_further_examples_that_do_not_fit_are_refused(digits, tmp_path, arrays, words):
    with pytest.raises(UserError, match=words):
        data.read_extra(file_of(tmp_path, **arrays), digits)


def test_a_file_that_is_no_npz_is_refused(digits, tmp_path):
    (tmp_path / "extra.npz").write_text("no")
    with pytest.raises(UserError, match="expected an .npz file"):
        data.read_extra(tmp_path / "extra.npz", digits)


# --- changes to images


def test_cutout_blackens_a_square_cut_at_the_edges():
    images = np.ones((3, 6, 6, 2), np.float32)
    numbers = [[0.5, 0.5, 0], [0.0, 0.5, 0], [0.99, 0.99, 0]]  # centres (3, 3), (0, 3), (5, 5)
    cut = cut_out(tf.constant(images), tf.constant(numbers, tf.float64), 4).numpy()
    expected = np.ones_like(images)
    expected[0, 1:5, 1:5] = expected[1, 0:2, 1:5] = expected[2, 3:, 3:] = 0
    np.testing.assert_array_equal(cut, expected)


def test_crop_moves_and_does_not_mirror():
    images = np.random.default_rng(0).random((2, 6, 6, 1), dtype=np.float32)
    numbers = tf.constant([[0.1, 0.5, 0.5], [0.1, 0.999, 0.5]], tf.float64)
    moved = crop(tf.constant(images), numbers).numpy()
    np.testing.assert_array_equal(moved[0], images[0])
    np.testing.assert_array_equal(moved[1, :2], images[1, 4:])


def test_every_change_has_random_numbers_of_its_own():
    assert not np.array_equal(draws(0, 1, 20, 0), draws(0, 1, 20, 1))
