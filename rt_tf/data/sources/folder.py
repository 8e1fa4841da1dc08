"""Sources in folders of images: a folder for each class, below train/ and test/ if they exist."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rt_tf.data.augment import flip_and_crop
from rt_tf.data.sources import cache
from rt_tf.data.sources import labels as checked_labels
from rt_tf.data.sources.arrays import with_test
from rt_tf.data.sources.image_files import Layout, decode, is_image, layout
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.errors import UserError

# Names of the folders of parts, the first that exists counts.
PARTS = {"train": ("train",), "test": ("test",), "validation": ("val", "valid", "validation")}


def read(path: str, reading: Reading) -> Source:
    """The images of a folder: of class folders, or of train/ (and val/, test/) of class folders.

    Images are decoded once, into the cache: 8-bit, grey if all of them are, and at
    reading.image_size: scaled until they cover it, and cut to its middle. A val/ without a test/
    stands for it. UserError for a folder without images of two classes, for images of several
    sizes where none is asked for, and for images that cannot be read, unless they are to be left
    out.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "it is not there"
        raise UserError(f"dataset: expected a folder of class folders; received {folder}: {what}")
    folders, notes = _part_folders(folder)
    class_names = _class_names(folders)
    files = {part: _files(found, class_names) for part, found in folders.items()}
    notes += _left_out(folders)
    parts, broken = _decoded(folder, files, reading)
    notes += [f"images left out that cannot be read: {len(broken):,}"] if broken else []
    train = parts["train"].labels
    checked_labels.check_classes(class_names, train, f"dataset: folders in {folder}")
    name = folder.resolve().name
    source = replace(
        Source.of(name, class_names, parts), augmentation=flip_and_crop, notes=tuple(notes)
    )
    return with_test(source, reading.test_share)


def _part_folders(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of the parts, and a note.

    The folder itself is that of training where it has no train/, or one that is a class of trains.
    """
    if not any(path.is_dir() for path in (folder / "train").glob("[!.]*")):
        return {"train": folder}, []
    found = {
        part: folder / name
        for part, names in PARTS.items()
        for name in reversed(names)
        if (folder / name).is_dir()
    }
    if "test" in found or "validation" not in found:
        return found, []
    validation = found.pop("validation")
    return found | {"test": validation}, [f"test: {validation.name}/, as there is no test/"]


def _class_names(folders: Mapping[str, Path]) -> list[str]:
    """The names of the classes, sorted; UserError for parts with other ones."""
    by_part = {
        part: sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
        for part, folder in folders.items()
    }
    train = by_part["train"]
    if len(train) < 2:
        raise UserError(
            f"dataset: expected two or more folders of images, one for each class, in "
            f"{folders['train']}; received {', '.join(train) or 'none'}"
        )
    for part, names in by_part.items():
        if others := sorted(set(names) - set(train)):
            raise UserError(
                f"dataset: expected the classes of {folders['train']} in {folders[part]}; "
                f"received others: {', '.join(others[:10])}"
            )
    return train


def _files(folder: Path, class_names: list[str]) -> list[tuple[Path, int]]:
    """The images of a part with their labels, sorted by class and path."""
    return [
        (path, label)
        for label, name in enumerate(class_names)
        for path in sorted((folder / name).rglob("*"))
        if is_image(path)
    ]


def _left_out(folders: Mapping[str, Path]) -> list[str]:
    """A note on the files that are no images, if there are any."""
    others = [
        path.suffix or path.name
        for folder in folders.values()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "." and not is_image(path)
    ]
    kinds = ", ".join(sorted(set(others))[:10])
    return [f"files left out that are no images: {len(others):,} ({kinds})"] if others else []


def _decoded(
    folder: Path, files: Mapping[str, list[tuple[Path, int]]], reading: Reading
) -> tuple[dict[str, Part], list[str]]:
    """The parts from the cache, and the paths of images that were left out."""
    empty = [part for part, found in files.items() if not found]
    if empty:
        raise UserError(f"dataset: expected images in {folder} for {empty[0]}; received none")
    paths = [path for found in files.values() for path, _ in found]
    settings = (reading.image_size, reading.channels, reading.skip_broken)
    key = {"files": cache.marks(paths), "parts": {p: len(f) for p, f in files.items()}}
    kept = cache.kept(
        reading.cache_dir,
        folder.resolve().name,
        {**key, "settings": settings},
        lambda made: _write(made, files, layout(paths, reading), reading),
    )
    parts = {
        part: Part(cache.read_rows(kept / f"{part}.npy"), np.load(kept / f"{part}-labels.npy"))
        for part in files
    }
    return parts, (kept / "broken.txt").read_text().splitlines()


def _write(
    made: Path, files: Mapping[str, list[tuple[Path, int]]], form: Layout, reading: Reading
) -> None:
    """Decodes all images into a folder of the cache, a file for each part."""
    broken = list(form.broken)
    cache.refuse_full(made, sum(map(len, files.values())) * int(np.prod(form.shape)))
    for part, found in files.items():
        readable = [(path, label) for path, label in found if path not in form.broken]
        broken += decode(
            [path for path, _ in readable],
            np.array([label for _, label in readable], np.int64),
            made / part,
            form.shape,
            reading,
        )
    (made / "broken.txt").write_text("".join(f"{path}\n" for path in broken))
