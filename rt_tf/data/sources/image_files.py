"""Image files: their common shape, and their decoding by several threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rt_tf.data.sources.source import Reading
from rt_tf.errors import UserError

GREY = ("1", "L", "LA")  # Pillow's names of colour modes
DEEP = ("I", "F")  # beginnings of the modes of more than 8 bits
BROKEN = (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError)
SHOWN = 5  # paths in a message
AT_ONCE = 256  # files

T = TypeVar("T")


class Layout(NamedTuple):
    """The shape (h, w, c) that images are brought to, and the files that are no images."""

    shape: tuple[int, int, int]
    broken: dict[Path, str]


def is_image(path: Path) -> bool:
    """Whether a file's name ends as those of images do; hidden files are none."""
    known = Image.registered_extensions()
    return path.name[0] != "." and path.suffix.lower() in known and path.is_file()


def layout(paths: Sequence[Path], reading: Reading) -> Layout:
    """The common shape of images, by their headers and what is asked for.

    UserError for several sizes where none is asked for, for images of more than 8 bits, and for
    files that cannot be read, unless they are to be left out.
    """
    headers = list(_in_threads(_header, paths))
    broken = {p: h for p, h in zip(paths, headers, strict=True) if isinstance(h, str)}
    _refuse_broken(broken, reading)
    read = [(p, h) for p, h in zip(paths, headers, strict=True) if not isinstance(h, str)]
    if not read:
        raise UserError("dataset: expected an image that can be read; received none")
    for path, (_, mode) in read:
        if mode.startswith(DEEP):
            raise UserError(
                f"dataset: expected images of 8 bits a channel; {path} is of Pillow's mode {mode}"
            )
    sizes = {size for _, (size, _) in read}
    if reading.image_size is None and len(sizes) > 1:
        raise UserError(
            f"image_size: expected --image_size=<side>, as images have {len(sizes)} sizes, such as "
            f"{' and '.join('{}x{}'.format(*size) for size in sorted(sizes)[:: len(sizes) - 1])}; "
            "received none"
        )
    grey = all(mode in GREY for _, (_, mode) in read)
    height, width = reading.image_size or next(iter(sizes))
    return Layout((height, width, reading.channels or (1 if grey else 3)), broken)


def decode(
    paths: Sequence[Path],
    labels: np.ndarray,
    target: Path,
    shape: tuple[int, int, int],
    reading: Reading,
) -> list[Path]:
    """Writes images, [n, *shape] in uint8, and their labels: target.npy and target-labels.npy.

    Returns the paths that could not be decoded, which are left out. UserError where they may not
    be.
    """
    rows_file = target.with_name(f"{target.name}.npy")
    stored = np.lib.format.open_memmap(rows_file, "w+", np.uint8, (len(paths), *shape))
    broken: dict[Path, str] = {}
    kept: list[int] = []
    images = _in_threads(lambda path: _image(path, shape), paths)
    with reading.progress.bar(f"decoding images, {target.name}", len(paths), 0) as bar:
        for number, (path, image) in enumerate(zip(paths, images, strict=True)):
            if isinstance(image, str):
                broken[path] = image
            else:
                stored[len(kept)] = image
                kept.append(number)
            bar.advance(1, "")
    _refuse_broken(broken, reading)
    stored.flush()
    if broken:
        np.save(rows_file, np.array(stored[: len(kept)]))
    np.save(target.with_name(f"{target.name}-labels.npy"), labels[kept])
    return list(broken)


def _in_threads(work: Callable[[Path], T], paths: Sequence[Path]) -> Iterator[T]:
    """The results of a function of files, in order, some files at a time."""
    with ThreadPoolExecutor() as threads:
        for begin in range(0, len(paths), AT_ONCE):
            yield from threads.map(work, paths[begin : begin + AT_ONCE])


def _header(path: Path) -> tuple[tuple[int, int], str] | str:
    """An image's (height, width) as it is seen, and its mode; or the reason why there is none."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5  # orientations that lie on a side
            return (width, height) if turned else (height, width), image.mode
    except BROKEN as error:
        return " ".join(str(error).split()) or type(error).__name__


def _image(path: Path, shape: tuple[int, int, int]) -> np.ndarray | str:
    """An image at a shape, uint8 [h, w, c]; or the reason why it cannot be decoded."""
    height, width, channels = shape
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
            return np.asarray(image, np.uint8).reshape(shape)
    except BROKEN as error:
        return " ".join(str(error).split()) or type(error).__name__


def _refuse_broken(broken: dict[Path, str], reading: Reading) -> None:
    """Raises UserError, naming them, for images that cannot be read and are not to be left out."""
    if broken and not reading.skip_broken:
        named = "; ".join(f"{path}: {why}" for path, why in list(broken.items())[:SHOWN])
        raise UserError(
            f"dataset: expected images that can be read; {len(broken)} cannot: {named}; "
            "--skip_broken leaves them out"
        )
