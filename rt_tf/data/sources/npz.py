"""Sources in NumPy's .npz files: images or tables, with labels."""

import shutil
import zipfile
from pathlib import Path

import numpy as np

from rt_tf.data.rows import Rows
from rt_tf.data.sources import cache
from rt_tf.data.sources.arrays import of_arrays
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.errors import UserError
from rt_tf.files import NUMPY_DAMAGE

# The names of a file's arrays, rows and labels of each part.
PARTED = {
    "train": ("x_train", "y_train"),
    "test": ("x_test", "y_test"),
    "validation": ("x_val", "y_val"),
}
WHOLE = (("images", "labels"), ("x", "y"))
NAMES = "class_names"


def read(path: str, reading: Reading) -> Source:
    """The arrays of a file: x_train, y_train and, if there are any, x_test, y_test, x_val, y_val.

    Or `images`, `labels` (or x, y), of which some are held out for testing; class_names, if there,
    are the classes' names. Large arrays are unpacked into the cache, and read from there by index.
    UserError for a file that is none, or lacks them.
    """
    file = Path(path).expanduser()
    try:
        with zipfile.ZipFile(file) as archive:
            names = {Path(member).stem: member for member in archive.namelist()}
            parts = _named(file, names)
            arrays = {
                part: Part(
                    _array(file, archive, names[rows], reading),
                    np.asarray(_array(file, archive, names[labels], reading)[:]),
                )
                for part, (rows, labels) in parts.items()
            }
            class_names = _class_names(archive, names)
    except NUMPY_DAMAGE as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"dataset: expected an .npz file; {file} is not: {error}") from error
    return of_arrays(file.stem, arrays, reading, class_names)


def _named(file: Path, present: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The names of the arrays of each part that a file has."""
    for rows, labels in WHOLE:
        if rows in present and labels in present:
            return {"train": (rows, labels)}
    parts = {part: pair for part, pair in PARTED.items() if pair[0] in present}
    missing = [name for pair in parts.values() for name in pair if name not in present]
    if "train" not in parts or missing:
        raise UserError(
            f"dataset: expected arrays x_train, y_train (and x_test, y_test), or images, labels, "
            f"in {file}; received {', '.join(present) or 'none'}"
        )
    return parts


def _array(file: Path, archive: zipfile.ZipFile, member: str, reading: Reading) -> Rows:
    """An array of a file, in memory or, if it is large, memory-mapped from the cache."""
    size = archive.getinfo(member).file_size
    if size <= cache.IN_MEMORY:
        with archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def unpack(folder: Path) -> None:
        cache.refuse_full(folder, size)
        with archive.open(member) as stream, (folder / "rows.npy").open("wb") as unpacked:
            shutil.copyfileobj(stream, unpacked, 2**24)

    key = {"file": cache.marks([file]), "member": member}
    folder = cache.kept(reading.cache_dir, file.stem, key, unpack)
    return cache.read_rows(folder / "rows.npy")


def _class_names(archive: zipfile.ZipFile, names: dict[str, str]) -> tuple[str, ...]:
    if NAMES not in names:
        return ()
    with archive.open(names[NAMES]) as stream:
        return tuple(map(str, np.lib.format.read_array(stream, allow_pickle=False)))
