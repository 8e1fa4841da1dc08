"""Data sets: their examples and order, and the errors where there is nothing to load."""

import hashlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from rt_tf import catalogue, data
from rt_tf.data.augment import draws, flip_and_crop
from rt_tf.data.parting import hold_out
from rt_tf.data.sources import preparing, tfds_sets
from rt_tf.errors import UserError

TWO_WAYS = "two ways to get it: --download .* --data_dir="


@pytest.fixture(scope="module")
def digits(digits_dir):
    return data.load("digits", digits_dir)


def synthetic(n=600, side=28, pixel_max=255, augmentation=None):
    """A split whose label is its position; at 28x28, too large to be converted at once."""
    pixels = np.random.default_rng(0).integers(0, pixel_max + 1, (n, side, side, 1), dtype=np.uint8)
    return data.Split("train", pixels, np.arange(n), np.arange(n) * 2, pixel_max, augmentation)


LARGE = synthetic(n=6000)


def columns(dataset):
    """All images, all labels, all positions that a data set of batches yields."""
    return [np.concatenate(column) for column in zip(*dataset.as_numpy_iterator(), strict=True)]


# --- the digits


def test_digits_sizes_and_types(digits):
    splits = (digits.train, digits.validation, digits.test)
    assert [len(split) for split in splits] == [1293, 144, 360]
    assert [split.name for split in splits] == ["train", "validation", "test"]
    assert (digits.shape, digits.classes, digits.version) == ((8, 8, 1), 10, "1.0.0")
    for split in splits:
        assert split.rows.dtype == np.uint8
        assert split.labels.dtype == split.index.dtype == np.int64
        assert split.rows.max() == split.pixel_max == 16


def test_digits_are_all_of_scikit_learns(digits):
    images, labels = load_digits(return_X_y=True)
    expected = sorted(zip(images.astype(np.uint8).reshape(-1, 64).tolist(), labels, strict=True))
    positions = [
        (image.ravel().tolist(), label)
        for split in (digits.train, digits.validation, digits.test)
        for image, label in zip(split.rows, split.labels, strict=True)
    ]
    assert sorted(positions) == expected


def test_digits_test_split_is_stratified(digits):
    _, labels = load_digits(return_X_y=True)
    assert np.all(np.abs(np.bincount(digits.test.labels) - np.bincount(labels) / 5) <= 1)


def test_digits_are_the_same_everywhere(digits):
    expected = "0b158ab078d0e70779b9decc98a20f2e58c7c21337cf7655cb74843562f00e31"
    assert digits.test.checksum == expected


def test_index_is_the_position_in_the_published_split(digits, digits_dir):
    other = data.load("digits", digits_dir, validation=300, seed=7)
    for dataset in (digits, other):
        both = np.concatenate([dataset.train.index, dataset.validation.index])
        assert sorted(both) == list(range(1437))
    position = {i: row for row, i in enumerate(digits.train.index)}
    for row, i in enumerate(other.train.index):
        if i in position:
            assert (other.train.rows[row] == digits.train.rows[position[i]]).all()


def test_digits_are_generated_without_network(tmp_path, digits, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert data.load("digits", tmp_path).test.checksum == digits.test.checksum


def test_prepared_digits_load_quickly_and_leave_nothing_else(digits, digits_dir):
    start = time.perf_counter()
    data.load("digits", digits_dir)
    assert time.perf_counter() - start < 3
    assert [path.name for path in Path(digits_dir).iterdir()] == ["digits"]


@pytest.mark.slow
def test_two_processes_may_prepare_at_once(tmp_path):
    script = (
        "import random; random.seed(0)\n"
        "from rt_tf import data\n"
        f"print(data.load('digits', {str(tmp_path)!r}).test.checksum)"
    )
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 65  # one line: nothing of TFDS's announcements
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_run_that_is_overtaken_uses_the_others_work(digits_dir, digits, monkeypatch):
    target = Path(digits_dir) / "digits" / "1.0.0"
    before = sorted(path.stat().st_mtime_ns for path in target.iterdir())
    preparing._prepare(tfds_sets.DIGITS.origin, Path(digits_dir), target)
    assert sorted(path.stat().st_mtime_ns for path in target.iterdir()) == before


# --- splits


def test_images_are_pixels_over_their_maximum(digits):
    images = digits.test.images()
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1
    expected = digits.test.rows[3:5].astype(np.float32) / np.float32(16)
    np.testing.assert_array_equal(digits.test.images([3, 4]), expected)


def test_hashes_identify_the_raw_bytes(digits):
    raw = bytes(digits.test.rows[5].ravel().tolist())
    assert digits.test.hashes([5]) == [hashlib.sha256(raw).hexdigest()[:16]]
    assert len(digits.test.hashes()) == 360


def test_take_gives_the_first_or_all(digits):
    assert list(digits.test.take(3).index) == [0, 1, 2]
    assert len(digits.test.take(1000)) == 360


def test_checksum_covers_images_labels_and_order(digits):
    test = digits.test
    relabelled = data.Split("test", test.rows, (test.labels + 1) % 10, test.index, 16)
    turned = test.select(slice(None, None, -1))
    pixels = test.rows.copy()
    pixels[-1, -1, -1] += 1
    touched = data.Split("test", pixels, test.labels, test.index, 16)
    assert len({split.checksum for split in (test, relabelled, turned, touched)}) == 4


def test_data_cannot_be_changed_by_accident(digits):
    with pytest.raises(ValueError, match="read-only"):
        digits.test.rows[0] = 0


# --- validation


@pytest.mark.parametrize(("validation", "count"), [(0.1, 144), (100, 100), (100.0, 100)])
def test_validation_is_a_fraction_or_a_count(digits_dir, validation, count):
    assert len(data.load("digits", digits_dir, validation).validation) == count


def test_validation_is_stratified_and_seeded():
    labels = np.repeat(np.arange(10), 50)
    kept, held = hold_out(labels, 0.2, seed=3)
    assert np.all(np.bincount(labels[held]) == 10)
    assert sorted([*kept, *held]) == list(range(500))
    assert np.all(np.diff(kept) > 0)
    np.testing.assert_array_equal(hold_out(labels, 0.2, seed=3)[1], held)
    assert not np.array_equal(hold_out(labels, 0.2, seed=4)[1], held)


@pytest.mark.parametrize("validation", [0, -0.1, 1.5, 9, 491, 1e9, float("nan"), float("inf")])
def test_validation_out_of_range_is_refused(validation):
    with pytest.raises(UserError, match="validation: expected .* 10 to 490; received"):
        hold_out(np.repeat(np.arange(10), 50), validation, seed=0)


# --- order and batches


def test_order_is_a_permutation_and_a_pure_function():
    first = data.order(0, 0, 100)
    assert first.dtype == np.int64
    assert sorted(first) == list(range(100))
    np.testing.assert_array_equal(data.order(0, 0, 100), first)
    for other in (data.order(0, 1, 100), data.order(1, 0, 100)):
        assert not np.array_equal(other, first)


def test_order_stays_what_it_was():
    """Else a run that is resumed under a later version would go on in another order."""
    assert list(data.order(0, 0, 10)) == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]
    assert list(data.order(3, 7, 10)) == [3, 4, 2, 6, 1, 9, 7, 0, 8, 5]


@pytest.mark.parametrize("split", [synthetic(), LARGE], ids=["converted at once", "gathered"])
def test_batches_follow_the_order(split):
    images, labels, index = columns(data.batches(split, 64, seed=5, epoch=2))
    ids = data.order(5, 2, len(split))[: len(split) // 64 * 64]
    assert images.dtype == np.float32
    assert labels.dtype == index.dtype == np.int64
    np.testing.assert_array_equal(labels, split.labels[ids])
    np.testing.assert_array_equal(index, split.index[ids])
    np.testing.assert_array_equal(images, split.images(ids))


@pytest.mark.parametrize("pixel_max", [16, 255])
def test_gathered_images_are_bit_for_bit_those_of_the_split(pixel_max):
    """All values of a pixel: a multiplication by 1/255 would differ for many of them."""
    values = np.resize(np.arange(pixel_max + 1, dtype=np.uint8), (6000, 28, 28, 1))
    split = data.Split("train", values, LARGE.labels, LARGE.index, pixel_max)
    images, labels, _ = columns(data.batches(split, 100, seed=0, epoch=0))
    np.testing.assert_array_equal(images, split.images(labels))


@pytest.mark.parametrize("split", [synthetic(), LARGE], ids=["converted at once", "gathered"])
def test_skipping_leaves_the_rest_as_it_was(split):
    whole = columns(data.batches(split, 50, seed=0, epoch=1))
    rest = columns(data.batches(split, 50, seed=0, epoch=1, skip=3))
    for a, b in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(a[150:], b)
    assert list(data.batches(split, 50, 0, 1, skip=len(split) // 50)) == []


def test_batches_have_static_shapes():
    for split, side in ((synthetic(side=8), 8), (LARGE, 28)):
        image, label, index = data.batches(split, 50, 0, 0).element_spec
        assert image.shape == (50, side, side, 1)
        assert label.shape == index.shape == (50,)


def test_a_batch_larger_than_the_split_is_refused():
    with pytest.raises(UserError, match="batch_size: expected at most 600.*received 601"):
        data.batches(synthetic(), 601, 0, 0)


# --- augmentation


def test_draws_depend_on_the_example_not_on_how_many_there_are():
    np.testing.assert_array_equal(draws(1, 2, 50), draws(1, 2, 80)[:50])
    assert not np.array_equal(draws(1, 2, 50), draws(1, 3, 50))


def test_flip_and_crop_moves_and_mirrors():
    images = np.random.default_rng(0).random((4, 6, 6, 2), dtype=np.float32)
    still, up, left, mirrored = 0.5, 0.999, 0.999, 0.1
    numbers = [[0.9, still, still], [0.9, up, still], [0.9, still, left], [mirrored, still, still]]
    moved = flip_and_crop(tf.constant(images), tf.constant(numbers, tf.float64)).numpy()
    np.testing.assert_array_equal(moved[0], images[0])
    np.testing.assert_array_equal(moved[1, :2], images[1, 4:])
    assert not moved[1, 2:].any()
    np.testing.assert_array_equal(moved[2, :, :2], images[2, :, 4:])
    assert not moved[2, :, 2:].any()
    np.testing.assert_array_equal(moved[3], images[3, :, ::-1])


def test_augmented_batches_resume_and_differ_by_epoch():
    split = synthetic(augmentation=flip_and_crop)
    whole = columns(data.batches(split, 50, 0, 1, options=data.AugmentationOptions(augment=True)))
    rest = columns(
        data.batches(split, 50, 0, 1, skip=4, options=data.AugmentationOptions(augment=True))
    )
    np.testing.assert_array_equal(whole[0][200:], rest[0])
    plain = columns(data.batches(split, 50, 0, 1))
    assert not np.array_equal(whole[0], plain[0])
    other = columns(data.batches(split, 50, 0, 2, options=data.AugmentationOptions(augment=True)))
    assert not np.array_equal(whole[0][np.argsort(whole[1])], other[0][np.argsort(other[1])])


def test_augmentation_does_not_depend_on_the_place_in_the_batch():
    split = synthetic(augmentation=flip_and_crop)
    by_size = [
        columns(data.batches(split, size, 0, 0, options=data.AugmentationOptions(augment=True)))
        for size in (50, 60)
    ]
    np.testing.assert_array_equal(by_size[0][0], by_size[1][0])
    half = columns(
        data.batches(
            split.select(slice(0, 300)), 300, 0, 0, options=data.AugmentationOptions(augment=True)
        )
    )
    of_label = dict(zip(by_size[0][1], by_size[0][0], strict=True))
    for image, label in zip(half[0], half[1], strict=True):
        np.testing.assert_array_equal(image, of_label[label])


def test_without_an_augmentation_nothing_changes(digits):
    plain, changed = (
        columns(data.batches(digits.train, 100, 0, 0, options=data.AugmentationOptions(augment=a)))
        for a in (0, 1)
    )
    np.testing.assert_array_equal(plain[0], changed[0])


# --- what is not there


def test_every_catalogued_set_has_a_source():
    for name in catalogue.DATASETS:
        source = catalogue.resolve("dataset", name)
        assert source.origin.name == name if isinstance(source, tfds_sets.TfdsSet) else source()


def test_an_unknown_set_is_refused_with_what_exists():
    with pytest.raises(UserError, match="expected one of .*digits.*received 'imagenet2'"):
        data.load("imagenet2")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=f"nowhere' does not exist; {TWO_WAYS}"):
        data.load("mnist", tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_the_set_is_listed(digits, digits_dir):
    with pytest.raises(UserError, match=f"holds digits/1.0.0; {TWO_WAYS}"):
        data.load("mnist", digits_dir)


def test_an_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(UserError, match="holds no data sets"):
        data.load("cifar10", tmp_path)


def test_a_download_without_network_is_refused_at_once(tmp_path, monkeypatch):
    def never(*_args, **_options):
        time.sleep(1)
        raise OSError("too late")

    assert preparing.NETWORK_TIMEOUT < 5
    monkeypatch.setattr(preparing, "NETWORK_TIMEOUT", 0.3)
    monkeypatch.setattr(preparing.urllib.request, "urlopen", never)
    start = time.perf_counter()
    with pytest.raises(UserError, match=f"cannot be downloaded.*no answer in 0.3 s.*{TWO_WAYS}"):
        data.load("mnist", tmp_path, download=True)
    assert time.perf_counter() - start < 5
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_an_answer_too(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(preparing.urllib.request, "urlopen", refuse)
    with pytest.raises(UserError, match=r"cannot be downloaded from https.*\(refused\)"):
        data.load("mnist", tmp_path, download=True)


def test_a_download_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    def break_off(*_args, **_options):
        raise OSError("connection lost")

    monkeypatch.setattr(preparing, "_unreachable", lambda url: None)
    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", break_off)
    with pytest.raises(UserError, match="cannot be prepared in .*connection lost"):
        data.load("mnist", tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="digits.*cannot be prepared in"):
        data.load("digits", tmp_path / "file")


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_damaged_files_are_refused(tmp_path, damage):
    data.load("digits", tmp_path)
    (records,) = tmp_path.glob("digits/*/*train.tfrecord*")
    if damage == "truncate":
        records.write_bytes(records.read_bytes()[:5000])
    else:
        records.unlink()
    with pytest.raises(UserError, match="split 'train'.*cannot be read"):
        data.load("digits", tmp_path)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3, "splits": 7}', ""])
def test_a_damaged_description_is_refused(tmp_path, name, text):
    data.load("digits", tmp_path)
    (file,) = tmp_path.glob(f"digits/*/{name}")
    file.write_text(text)
    try:
        data.load("digits", tmp_path)  # where what is damaged is not needed
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017


# --- published sets


def test_mnist_is_what_was_published(data_dir):
    mnist = data.load("mnist", data_dir)
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (54000, 6000, 10000)
    assert list(mnist.test.labels[:5]) == [7, 2, 1, 0, 4]
    assert list(np.bincount(mnist.test.labels)) == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert mnist.test.images(slice(100)).max() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("mnist", (28, 28, 1), (60000, 10000)),
        ("fashion_mnist", (28, 28, 1), (60000, 10000)),
        ("cifar10", (32, 32, 3), (50000, 10000)),
    ],
)
def test_published_sets(data_dir, name, shape, sizes):
    dataset = data.load(name, data_dir, validation=5000)
    assert dataset.shape == shape
    assert (len(dataset.train) + 5000, len(dataset.test)) == sizes
    assert dataset.classes == 10
    images, labels, index = next(iter(data.batches(dataset.train, 100, 0, 0)))
    rows = np.searchsorted(dataset.train.index, index)
    np.testing.assert_array_equal(images, dataset.train.images(rows))
    np.testing.assert_array_equal(labels, dataset.train.labels[rows])
