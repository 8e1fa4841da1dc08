"""A user's own data: folders of images, npz and csv files, functions, and any set of TFDS."""

import csv
import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from rt_tf import data
from rt_tf.data import Reading
from rt_tf.data.rows import LazyRows
from rt_tf.data.sources import cache
from rt_tf.domain import UNIT
from rt_tf.errors import UserError
from rt_tf.progress import Silent

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 2
IMAGES = (RNG.integers(0, 100, (40, 6, 5, 3)) + 100 * LABELS[:, None, None, None]).astype(np.uint8)
TABLE = RNG.normal(size=(40, 3)) * (1.0, 10.0, 0.1) + LABELS[:, None]


def write_pictures(folder, images=IMAGES, labels=LABELS, names=("cat", "dog")):
    """Images as PNG files in class folders, called by their numbers."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / names[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def write_csv(path, table=TABLE, labels=LABELS, header=("a", "b", "c", "label")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [header, *([*row, f"is{y}"] for row, y in zip(table, labels, strict=True))]
        )
    return path


def folder_data(path, **settings):
    return data.load(f"folder:{path}", validation=8, reading=Reading(**settings))


def all_rows(dataset):
    """The rows and labels of all three splits."""
    splits = (dataset.train, dataset.validation, dataset.test)
    return (
        np.concatenate([split.rows[:] for split in splits]),
        np.concatenate([split.labels for split in splits]),
    )


# --- folders


def test_a_folder_of_class_folders_is_a_data_set(tmp_path):
    dataset = folder_data(write_pictures(tmp_path / "pets"))
    assert (dataset.name, dataset.shape, dataset.class_names) == ("pets", (6, 5, 3), ("cat", "dog"))
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [24, 8, 8]
    rows, labels = all_rows(dataset)
    ours = sorted((y, x.tobytes()) for x, y in zip(rows, labels, strict=True))
    theirs = sorted((y, x.tobytes()) for x, y in zip(IMAGES, LABELS, strict=True))
    assert ours == theirs
    assert dataset.test.images().max() == dataset.test.rows[:].max() / np.float32(255)
    assert dataset.notes == (
        "test: 8 of 40 examples, the same share of each class, held out with seed 0, as there is "
        "no test split",
    )


def test_the_held_out_test_split_is_the_same_whatever_the_seed(tmp_path):
    path = write_pictures(tmp_path / "pets")
    first, second = (data.load(f"folder:{path}", validation=8, seed=seed) for seed in (0, 1))
    assert first.test.checksum == second.test.checksum
    assert first.train.checksum != second.train.checksum


def test_folders_of_parts_are_the_splits(tmp_path):
    for part, begin, end in (("train", 0, 20), ("val", 20, 28), ("test", 28, 40)):
        write_pictures(tmp_path / "pets" / part, IMAGES[begin:end], LABELS[begin:end])
    dataset = folder_data(tmp_path / "pets")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [20, 8, 12]
    order = np.argsort(LABELS[28:], kind="stable")
    np.testing.assert_array_equal(dataset.test.rows[:], IMAGES[28:][order])
    assert dataset.notes == ("validation: the data's own 8 examples",)


def test_trains_may_be_a_class(tmp_path):
    dataset = folder_data(write_pictures(tmp_path / "vehicles", names=("car", "train")))
    assert dataset.class_names == ("car", "train")


def test_a_validation_folder_stands_for_an_absent_test_folder(tmp_path):
    write_pictures(tmp_path / "pets" / "train", IMAGES[:30], LABELS[:30])
    write_pictures(tmp_path / "pets" / "val", IMAGES[30:], LABELS[30:])
    dataset = folder_data(tmp_path / "pets")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [22, 8, 10]
    assert dataset.notes == ("test: val/, as there is no test/",)


def test_images_of_many_sizes_are_fitted_and_their_middle_is_kept(tmp_path):
    for label, name in enumerate(("cat", "dog")):
        for number in range(6):
            image = np.zeros((8, 8 + 4 * number, 3), np.uint8)
            image[:, 2 * number : 2 * number + 8] = 100 * label + number
            (tmp_path / "pets" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / "pets" / name / f"{number}.png")
    with pytest.raises(UserError, match="image_size: expected .*6 sizes, such as 8x8 and 8x28"):
        folder_data(tmp_path / "pets")
    dataset = data.load(
        f"folder:{tmp_path / 'pets'}", validation=2, reading=Reading(image_size=(8, 8))
    )
    for row, label in zip(*all_rows(dataset), strict=True):
        assert len(np.unique(row)) == 1
        assert 100 * label <= row.max() < 100 * label + 6


def test_grey_images_have_one_channel_unless_more_are_asked_for(tmp_path):
    path = write_pictures(tmp_path / "pets", IMAGES[..., 0])
    assert folder_data(path).shape == (6, 5, 1)
    coloured = folder_data(path, channels=3)
    assert coloured.shape == (6, 5, 3)
    np.testing.assert_array_equal(coloured.test.rows[..., 0], coloured.test.rows[..., 2])
    assert folder_data(write_pictures(tmp_path / "more"), channels=1).shape == (6, 5, 1)


def test_a_folder_is_decoded_once_and_again_when_it_changes(tmp_path, monkeypatch):
    path = write_pictures(tmp_path / "pets")
    before = folder_data(path).train.checksum
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda path: pytest.fail("decoded again"))
        assert folder_data(path).train.checksum == before
    Image.fromarray(IMAGES[0] // 2).save(path / "cat" / "000.png")
    assert sorted(all_rows(folder_data(path))[0].sum((1, 2, 3))) != sorted(IMAGES.sum((1, 2, 3)))


def test_rows_beyond_memory_are_read_by_index(tmp_path, monkeypatch):
    path = write_pictures(tmp_path / "pets")
    held = folder_data(path)
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    lazy = folder_data(path)
    assert isinstance(lazy.train.rows, LazyRows)
    assert isinstance(lazy.train.rows.array, np.memmap)
    for ours, theirs in zip((lazy.train, lazy.test), (held.train, held.test), strict=True):
        assert ours.checksum == theirs.checksum


def test_a_broken_image_is_named_or_left_out(tmp_path):
    path = write_pictures(tmp_path / "pets")
    (path / "cat" / "000.png").write_bytes(b"no image")
    whole = (path / "dog" / "001.png").read_bytes()
    (path / "dog" / "001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="2 cannot: .*000.png: cannot identify.*--skip_broken"):
        folder_data(path)
    dataset = folder_data(path, skip_broken=True)
    assert len(all_rows(dataset)[0]) == 38
    assert "images left out that cannot be read: 2" in dataset.notes


def test_other_files_are_told_and_hidden_ones_are_not_there(tmp_path):
    path = write_pictures(tmp_path / "pets")
    (path / "cat" / "about.txt").write_text("cats")
    (path / "cat" / ".DS_Store").write_text("")
    assert "files left out that are no images: 1 (.txt)" in folder_data(path).notes


def test_test_images_that_are_trained_on_are_counted(tmp_path):
    write_pictures(tmp_path / "pets" / "train", IMAGES[:30], LABELS[:30])
    write_pictures(tmp_path / "pets" / "test", IMAGES[25:35], LABELS[25:35])
    dataset = folder_data(tmp_path / "pets")
    assert "5 test examples are in the training split, too" in dataset.notes


def deep(path):
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(path / "cat" / "000.png")


def no_images(path):
    for image in path.rglob("*.png"):
        image.unlink()


def another_class(path):
    for part in ("train", "test"):
        write_pictures(path / part, names=("cat", "dog" if part == "train" else "cow"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda path: __import__("shutil").rmtree(path),
            "expected a folder of class folders; received .*pets: it is not there",
        ),
        (
            lambda path: __import__("shutil").rmtree(path / "dog"),
            "two or more folders.*received cat",
        ),
        (no_images, "expected images in .*pets for train; received none"),
        (deep, "expected images of 8 bits a channel; .*000.png is of Pillow's mode I;16"),
        (another_class, "expected the classes of .*train in .*test; received others: cow"),
    ],
)
def test_folders_that_do_not_fit_are_one_line(tmp_path, change, words):
    path = write_pictures(tmp_path / "pets")
    change(path)
    with pytest.raises(UserError, match=words):
        folder_data(path)


# --- arrays


def load_npz(tmp_path, reading=Reading(), **arrays):  # noqa: B008 - immutable
    np.savez(tmp_path / "own.npz", **arrays)
    return data.load(f"npz:{tmp_path / 'own.npz'}", validation=6, reading=reading)


def test_images_in_an_npz_file(tmp_path):
    arrays = {"x_train": IMAGES[:30], "y_train": LABELS[:30]}
    dataset = load_npz(tmp_path, **arrays, x_test=IMAGES[30:], y_test=LABELS[30:, None])
    np.testing.assert_array_equal(dataset.test.rows, IMAGES[30:])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[30:])
    assert (dataset.shape, dataset.class_names) == ((6, 5, 3), ("0", "1"))
    assert dataset.domain is UNIT


def test_grey_images_without_a_channel_axis_get_one_and_classes_may_have_names(tmp_path):
    names = np.array(["cat", "dog"])
    dataset = load_npz(tmp_path, images=IMAGES[..., 0], labels=LABELS, class_names=names)
    assert (dataset.shape, dataset.class_names) == ((6, 5, 1), ("cat", "dog"))
    assert len(dataset.test) == 8


@pytest.mark.parametrize(("scale", "domain"), [(1 / 255, (0, 1)), (1.0, (0, 199))])
def test_images_of_values_stay_as_they_are(tmp_path, scale, domain):
    images = (IMAGES * scale).astype(np.float64)
    images[0, 0, 0] = 0.0, 0.0, 199 * scale
    dataset = load_npz(tmp_path, x=images, y=LABELS)
    assert dataset.test.pixel_max is None
    ours = sorted(
        np.concatenate(
            [s.images() for s in (dataset.train, dataset.validation, dataset.test)]
        ).ravel()
    )
    np.testing.assert_array_equal(ours, sorted(images.astype(np.float32).ravel()))
    if scale == 1.0:
        assert (dataset.domain.lower, dataset.domain.upper) == domain
    else:
        assert dataset.domain is UNIT


def test_large_arrays_are_unpacked_and_read_by_index(tmp_path, monkeypatch):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:5], "y_test": LABELS[:5]}
    held = load_npz(tmp_path, **arrays)
    monkeypatch.setattr(cache, "IN_MEMORY", IMAGES[:5].nbytes + 1000)
    lazy = load_npz(tmp_path, **arrays)
    assert isinstance(lazy.train.rows, LazyRows)
    assert lazy.train.checksum == held.train.checksum
    assert "5 test examples are in the training split, too" in lazy.notes


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": IMAGES}, "expected arrays x_train, y_train .*received x"),
        ({"x": IMAGES, "y": LABELS[:5]}, r"a label for each of the 40 examples, \[40\]; received"),
        ({"x": IMAGES, "y": LABELS + 0.5}, "expected whole numbers .*; received float64"),
        ({"x": IMAGES, "y": LABELS - 1}, "expected labels from 0 .*; received -1 to 0"),
        ({"x": IMAGES, "y": LABELS * 2}, "examples of each of the 3 classes; received none of 1"),
        ({"x": IMAGES, "y": LABELS * 0}, "expected at least two classes; received 1"),
        ({"x": IMAGES.astype(int) + 100, "y": LABELS}, "from 0 to 255 for images; received 100 to"),
        ({"x": np.full((40, 3), np.nan), "y": LABELS}, r"received NaN or infinity at \[0, 0\]"),
        ({"x": np.array(["a"] * 40), "y": LABELS}, "expected numbers, .*; received <U1"),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, :4], "y_test": LABELS},
            r"expected test examples in the shape of training, \[6, 5, 3\]; received \[4, 5, 3\]",
        ),
        ({"x": IMAGES[:3], "y": [0, 0, 1]}, "received 2 different ones in 3 examples"),
        ({"x": IMAGES[:5], "y": [0, 0, 0, 0, 1]}, "test_share: expected"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(tmp_path, arrays, words):
    with pytest.raises(UserError, match=words):
        load_npz(tmp_path, **arrays)


@pytest.mark.parametrize("settings", [{"scaling": "none"}, {"domain": "quantile"}])
def test_settings_of_tables_are_refused_for_images(tmp_path, settings):
    (name,) = settings
    with pytest.raises(UserError, match=f"{name}: expected none for own, which has images"):
        load_npz(tmp_path, Reading(**settings), x=IMAGES, y=LABELS)


def test_a_file_that_is_no_npz_is_one_line(tmp_path):
    (tmp_path / "own.npz").write_text("x")
    for name in ("own.npz", "none.npz"):
        with pytest.raises(UserError, match=f"expected an .npz file; .*{name} is not"):
            data.load(f"npz:{tmp_path / name}")


# --- tables


def test_columns_run_from_0_to_1_over_the_training_rows(tmp_path):
    dataset = data.load(f"csv:{write_csv(tmp_path / 'own.csv')}", validation=6)
    assert (dataset.shape, dataset.class_names) == ((3,), ("is0", "is1"))
    assert [column["name"] for column in dataset.columns["each"]] == ["a", "b", "c"]
    trained = np.concatenate([dataset.train.images(), dataset.validation.images()])
    np.testing.assert_array_equal(trained.min(axis=0), 0.0)
    np.testing.assert_array_equal(trained.max(axis=0), 1.0)
    rows = np.concatenate([trained, dataset.test.images()])
    np.testing.assert_array_equal(dataset.domain.lower, rows.min(axis=0))
    np.testing.assert_array_equal(dataset.domain.upper, rows.max(axis=0))
    unit = np.array([column["unit"] for column in dataset.columns["each"]])
    offset = np.array([column["offset"] for column in dataset.columns["each"]])
    ours = np.sort(rows * unit + offset, axis=0)
    np.testing.assert_allclose(ours, np.sort(TABLE, axis=0), rtol=1e-5, atol=1e-5)


def test_columns_may_have_mean_0_and_deviation_1_or_their_own_units(tmp_path):
    path = f"csv:{write_csv(tmp_path / 'own.csv')}"
    scored = data.load(path, validation=6, reading=Reading(scaling="zscore", domain="none"))
    trained = np.concatenate([scored.train.images(), scored.validation.images()])
    np.testing.assert_allclose(trained.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(trained.std(axis=0), 1.0, atol=1e-6)
    assert not scored.domain.is_bounded
    own = data.load(path, validation=6, reading=Reading(scaling="none"))
    rows = np.concatenate([s.images() for s in (own.train, own.validation, own.test)])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(TABLE.astype(np.float32), axis=0))


def test_rows_beyond_the_quantiles_are_clipped_and_counted(tmp_path):
    table = np.vstack([TABLE] * 100)
    table[7] = 1e6
    path = write_csv(tmp_path / "own.csv", table, np.tile(LABELS, 100))
    dataset = data.load(f"csv:{path}", reading=Reading(scaling="none", domain="quantile"))
    assert "domain: 1 rows were clipped to it" in dataset.notes
    for split in (dataset.train, dataset.validation, dataset.test):
        assert (split.images() <= dataset.domain.upper).all()
    assert dataset.domain.upper.max() < 100


def test_the_domain_may_come_from_a_file_in_the_columns_own_units(tmp_path):
    path, ends = write_csv(tmp_path / "own.csv"), tmp_path / "ends.json"
    ends.write_text(json.dumps({"b": [-100, 50]}))
    dataset = data.load(f"csv:{path}", validation=6, reading=Reading(domain=str(ends)))
    column = dataset.columns["each"][1]
    expected = (-100 - column["offset"]) / column["unit"], (50 - column["offset"]) / column["unit"]
    np.testing.assert_allclose(
        (dataset.domain.lower[1], dataset.domain.upper[1]), expected, rtol=1e-6
    )
    for content, words in (
        ({"d": [0, 1]}, "expected columns of the table .a, b, c.; .* names 'd'"),
        ({"a": [0, 0.5]}, "expected all rows within the ends .*column 'a' runs from"),
        ({"a": 3}, "holds other things than pairs of numbers"),
    ):
        ends.write_text(json.dumps(content))
        with pytest.raises(UserError, match=words):
            data.load(f"csv:{path}", reading=Reading(domain=str(ends)))
    with pytest.raises(UserError, match="domain: expected minmax, quantile, none, or a JSON file"):
        data.load(f"csv:{path}", reading=Reading(domain="nothing.json"))


def test_names_to_drop_are_several() -> None:
    with pytest.raises(UserError, match="drop_columns: expected a tuple of names; received 'b'"):
        Reading(drop_columns="b")


def test_two_files_are_training_and_test_and_columns_may_be_dropped(tmp_path):
    first = write_csv(tmp_path / "first.csv")
    second = write_csv(tmp_path / "second.csv", TABLE[:10], LABELS[:10])
    dataset = data.load(f"csv:{first},{second}", validation=6, reading=Reading(drop_columns=("b",)))
    assert (len(dataset.test), dataset.shape) == (10, (2,))
    assert "10 test examples are in the training split, too" in dataset.notes
    other = write_csv(tmp_path / "other.csv", header=("a", "x", "c", "label"))
    with pytest.raises(UserError, match="expected the columns of .*: a, b, c; received a, x, c"):
        data.load(f"csv:{first},{other}")


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("a,label\n1,x\n", {"label": "y"}, "label: expected .* one of a, label; received 'y'"),
        ("a,b,label\n1,red,x\n2,3,y\n", {}, r"received others in b \(line 2: 'red'\)"),
        ("a,b,label\n1,2,x\n2,,y\n", {}, r"received others in b \(line 3: ''\)"),
        ("a,b,label\n1,2,x\n2,y\n", {}, "expected 3 values in each line of .*; line 3 has 2"),
        ("a,a,label\n1,2,x\n", {}, "expected each column once in .*; twice: a"),
        ("a,label\nnan,x\n1,y\n1,x\n1,y\n", {}, r"received others in a \(line 2: 'nan'\)"),
        ("a,label\n1,x\n2,\n", {}, "label: expected a label in each line .*; line 3 has none"),
        ("a;label\n1;x\n", {}, "separated by commas; .* has other signs between them"),
        ("a,label\n", {}, "has 1 lines"),
        ("a,label\n1,x\n", {"drop_columns": ("b",)}, "drop_columns: expected some of a, label"),
        ("label\nx\n", {}, "expected a column of values"),
        ("", {}, "expected a CSV file with a line of names .* has 0 lines"),
        ("a,label\n1,x\n2,y\n3,z\n", {}, "3 different ones in 3 examples"),
    ],
)
def test_tables_that_do_not_fit_are_one_line(tmp_path, text, settings, words):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        data.load(f"csv:{path}", reading=Reading(**settings))


def test_a_range_of_images_is_refused_for_values(tmp_path):
    path = write_csv(tmp_path / "own.csv")
    with pytest.raises(UserError, match="input_range: expected none for own, whose values"):
        data.load(f"csv:{path}", domain=(0.0, 255.0))


# --- functions


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that makes a module `own_data` of a user's in the working folder."""

    def make(text):
        (tmp_path / "own_data.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
        monkeypatch.delitem(sys.modules, "own_data", raising=False)

    return make


ARRAYS = (
    "import numpy as np\n"
    "x = np.arange(240).reshape(40, 2, 3).astype('uint8')\n"
    "y = np.arange(40) % 2\n"
)
FORMS = {
    "arrays": "def load():\n    return x, y\n",
    "two pairs": "def load():\n    return (x[:32], y[:32]), (x[32:], y[32:])\n",
    "tf.data": "import tensorflow as tf\ndef load():\n"
    "    return tf.data.Dataset.from_tensor_slices((x, y)).batch(7)\n",
    "PyDataset": "import keras\nclass Own(keras.utils.PyDataset):\n"
    "    def __len__(self): return 4\n"
    "    def __getitem__(self, k): return x[k * 10:k * 10 + 10], y[k * 10:k * 10 + 10]\n"
    "def load():\n    return Own()\n",
    "Source": "from rt_tf.data import Part, Source\ndef load():\n"
    "    return Source('own', ('even', 'odd'), Part(x[..., None], y.astype('int64')))\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_may_return_its_data_in_many_forms(module, form):
    module(ARRAYS + FORMS[form])
    dataset = data.load("own_data:load", validation=6)
    rows, labels = all_rows(dataset)
    assert dataset.shape == (2, 3, 1)
    assert sorted(rows.reshape(40, 6).tolist()) == np.arange(240).reshape(40, 6).tolist()
    assert (labels == rows[:, 0, 0, 0] // 6 % 2).all()
    assert dataset.class_names == (("even", "odd") if form == "Source" else ("0", "1"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "def load():\n    return 3\n",
            "dataset: expected a Source, .* from own_data:load; received a int",
        ),
        (
            "import nothing_here\n",
            r"own_data fails with ModuleNotFoundError.*own_data.py, line 1\)",
        ),
        ("x = 1 / 0\n", r"own_data fails with ZeroDivisionError: .*own_data.py, line 1\)"),
        (
            "def load():\n    return 1 / 0\n",
            r"own_data:load fails with ZeroDivisionError: .*own_data.py, line 2\)",
        ),
        ("load = 3\n", "expected a function load in own_data; there is none"),
        (
            "import tensorflow as tf\ndef load():\n"
            "    return tf.data.Dataset.from_tensors(([[1.0]], [0])).repeat()\n",
            "expected a tf.data.Dataset that ends",
        ),
        (
            ARRAYS + "from rt_tf.data import Part, Source\ndef load():\n"
            "    return Source('own', ('a', 'b'), Part(x, y), pixel_max=None)\n",
            "expected a Part of float32 rows and int64 labels for train .*; received uint8",
        ),
    ],
)
def test_functions_that_do_not_fit_are_one_line(module, text, words):
    module(text)
    with pytest.raises(UserError, match=words):
        data.load("own_data:load")


def test_a_module_that_is_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="dataset: expected a module .*; received 'not_here'"):
        data.load("not_here:load")


# --- any set of TFDS


class OwnPets(tfds.core.GeneratorBasedBuilder):
    """Images with names of their own for features."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(6, 5, 3)),
            "kind": tfds.features.ClassLabel(names=["cat", "dog"]),
            "called": tfds.features.Text(),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0, 30), "test": self._generate_examples(30, 40)}

    def _generate_examples(self, begin, end):
        for i in range(begin, end):
            yield i, {"picture": IMAGES[i], "kind": int(LABELS[i]), "called": str(i)}


class OwnTable(tfds.core.GeneratorBasedBuilder):
    """Named numbers, marks from 3 on for labels, and no labels in the test split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        numbers = {name: tfds.features.Scalar(np.float64) for name in ("a", "b", "c")}
        features = tfds.features.FeaturesDict({"numbers": numbers, "mark": np.int64})
        return tfds.core.DatasetInfo(
            builder=self,
            features=features,
            supervised_keys=("numbers", "mark"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(0, 25, LABELS + 3),
            "validation": self._generate_examples(25, 35, LABELS + 3),
            "test": self._generate_examples(35, 40, 0 * LABELS - 1),
        }

    def _generate_examples(self, begin, end, marks):
        for i in range(begin, end):
            numbers = dict(zip(("a", "b", "c"), TABLE[i].tolist(), strict=True))
            yield i, {"numbers": numbers, "mark": int(marks[i])}


def test_any_set_of_tfds_is_read_by_the_types_of_its_features(tmp_path):
    OwnPets(data_dir=str(tmp_path)).download_and_prepare()
    dataset = data.load("own_pets", tmp_path, validation=6)
    np.testing.assert_array_equal(dataset.test.rows, IMAGES[30:])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[30:])
    assert (dataset.version, dataset.class_names) == ("1.2.0", ("cat", "dog"))
    settings = Reading(image_size=(12, 10), channels=1)
    resized = data.load("tfds:own_pets", tmp_path, validation=6, reading=settings)
    assert resized.shape == (12, 10, 1)


def test_a_table_of_tfds_whose_test_labels_are_secret_is_tested_on_validation(tmp_path):
    OwnTable(data_dir=str(tmp_path)).download_and_prepare()
    dataset = data.load("own_table", tmp_path, validation=5, reading=Reading(scaling="none"))
    np.testing.assert_array_equal(dataset.test.rows, TABLE[25:35].astype(np.float32))
    np.testing.assert_array_equal(dataset.test.labels, LABELS[25:35])
    assert (dataset.test.name, dataset.class_names) == ("validation", ("3", "4"))
    assert [column["name"] for column in dataset.columns["each"]] == ["a", "b", "c"]
    assert dataset.notes[0].startswith("test: the split 'validation'")


def test_an_unknown_name_is_refused_with_those_near_it():
    with pytest.raises(UserError, match="received 'mnits', .*; near it are .*mnist"):
        data.load("mnits")


# --- what is decoded is kept


def test_a_large_set_of_tfds_is_decoded_once(tmp_path, monkeypatch):
    from rt_tf.data.sources import decoded

    OwnPets(data_dir=str(tmp_path)).download_and_prepare()
    held = data.load("own_pets", tmp_path, validation=6)
    monkeypatch.setattr(decoded, "CACHED_FROM", 1)
    reading = Reading(cache_dir=str(tmp_path / "cache"))
    first = data.load("own_pets", tmp_path, validation=6, reading=reading)
    monkeypatch.setattr(decoded, "_write", lambda *arguments: pytest.fail("decoded again"))
    again = data.load("own_pets", tmp_path, validation=6, reading=reading)
    for dataset in (first, again):
        assert dataset.train.checksum == held.train.checksum
        assert dataset.test.checksum == held.test.checksum
    assert sorted(p.name.rpartition("-")[0] for p in (tmp_path / "cache").iterdir()) == [
        "own_pets-test",
        "own_pets-train",
    ]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    path = write_pictures(tmp_path / "pets")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cache_dir: expected room, and leave, to write to"):
        folder_data(path, cache_dir=str(tmp_path / "file" / "cache"))


def test_a_killed_decoding_leaves_nothing_that_counts(tmp_path):
    def killed(folder):
        (folder / "rows.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.kept(str(tmp_path), "own", {}, killed)
    assert list(tmp_path.iterdir()) == []


def test_without_a_cache_a_set_that_fits_memory_is_decoded_again_with_a_hint(tmp_path, monkeypatch):
    from rt_tf.data.sources import decoded

    OwnPets(data_dir=str(tmp_path)).download_and_prepare()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(decoded, "CACHED_FROM", 1)
    hints = []
    progress = Silent()
    progress.say = hints.append
    reading = Reading(cache_dir=str(tmp_path / "file" / "cache"), progress=progress)
    dataset = data.load("own_pets", tmp_path, validation=6, reading=reading)
    np.testing.assert_array_equal(dataset.test.rows, IMAGES[30:])
    assert len(hints) == 2
    assert hints[0].startswith("cache_dir: expected room, and leave, to write to")
