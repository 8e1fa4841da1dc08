"""NumPy archives: read whole and without pickles, and their checksums."""

import hashlib
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.checker.malformed import MalformedError, require

Arrays = dict[str, np.ndarray]
# What NumPy raises for archives that are cut short or changed.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    AttributeError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RuntimeError,  # of an encrypted entry, or of a compression that zipfile does not know
    zipfile.BadZipFile,
    zlib.error,
)
ROOM, TIMES = 2**28, 100  # bytes of arrays that a file may hold, and beyond them, by its own size


def read(path: Path) -> Arrays:
    """All arrays of an archive; MalformedError if it is not a whole one."""
    require(path.is_file(), str(path), "a NumPy archive (.npz)", "no such file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            require(hasattr(archive, "files"), str(path), "several arrays", "a single array")
            _check_room(path, archive.zip)
            return {name: _array(archive, name, path) for name in archive.files}
    except MalformedError:
        raise
    except DAMAGE as error:
        raise MalformedError(f"{path}: expected a whole NumPy archive; {_line(error)}") from error


def _check_room(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises MalformedError where little data stands for very much, unlike in our files."""
    sizes = sum(member.file_size for member in archive.infolist())
    most = max(ROOM, TIMES * path.stat().st_size)
    require(sizes <= most, str(path), f"at most {most} bytes of arrays", sizes)


def _array(archive: Any, name: str, path: Path) -> np.ndarray:
    values = archive[name]
    require(isinstance(values, np.ndarray), str(path), f"an array '{name}'", "other data")
    return values


def text(arrays: Arrays, name: str, where: str) -> str:
    """The text that an array without axes holds."""
    value = arrays.get(name)
    good = value is not None and value.shape == () and value.dtype.kind == "U"
    require(good, where, f"one text under '{name}'", sorted(arrays) if value is None else value)
    return str(value)


def parse(words: str, where: str) -> dict[str, Any]:
    """A JSON object of finite numbers, each name once."""
    try:
        record = json.loads(words, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{where}: expected JSON; {_line(error)}") from error
    require(isinstance(record, dict), where, "a JSON object", type(record).__name__)
    return record


def checksum(words: str, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over a text, then the name, shape and bytes of each array, of any shape, by name."""
    digest = hashlib.sha256(words.encode(errors="surrogatepass"))
    for name in sorted(arrays):
        values = arrays[name]
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        digest.update(name.encode() + str(values.shape).encode() + little.tobytes())
    return digest.hexdigest()


def of_type(values: np.ndarray, dtype: type, where: str) -> np.ndarray:
    """The array, of any shape, if it is of this type and all finite; else MalformedError."""
    kind = np.dtype(dtype)
    require(values.dtype == kind, where, f"an array of {kind.name}", values.dtype)
    require(bool(np.isfinite(values).all()), where, "finite numbers", "others")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name twice in an object")
    return record


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
