"""The flag files of a command line, and those that come with the package: the systems of configs/.

A file of the working folder wins over one of the package with that name.
"""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pipelines
from rt_tf.errors import UserError

ROOT = "configs"  # the folder's name in flags, wherever the package is
NAMES = ("--flagfile", "-flagfile")
NEAREST = 3


def _configs() -> Path:
    """The folder of systems: inside an installed package, beside the package in a checkout."""
    package = Path(pipelines.__file__).resolve().parent
    installed = package / ROOT
    return installed if installed.is_dir() else package.parent / ROOT


CONFIGS = _configs()


def system_names() -> list[str]:
    """The names <data set>/<system> of all flag files that come with the package."""
    paths = CONFIGS.glob("*/*.cfg")
    return sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in paths)


def existing(name: str) -> Path | None:
    """The file of a name: a path, or that of a file of configs/; None where there is neither.

    name: such as configs/mnist/ibp.cfg, mnist/ibp or digits/space.json.
    """
    path = Path(name).expanduser()
    if path.is_absolute() or (path.exists() and not path.is_dir()):
        return path if path.exists() and not path.is_dir() else None
    within = name.removeprefix(f"{ROOT}/")
    for candidate in (CONFIGS / within, CONFIGS / f"{within}.cfg"):
        if candidate.is_file() and CONFIGS in candidate.resolve().parents:
            return candidate
    return None


def with_lines(argv: Sequence[str]) -> list[str]:
    """A command line with the lines of its flag files in their places.

    argv: with the program's name. What follows `--` stays as it is. UserError for files that cannot
    be read.
    """
    end = list(argv).index("--") if "--" in argv else len(argv)
    return [*argv[:1], *_flags(argv[1:end], ()), *argv[end:]]


def _flags(parts: Sequence[str], within: tuple[Path, ...]) -> Iterator[str]:
    """Yields flags, those of flag files included. within: the files that name one another."""
    rest = iter(parts)
    for part in rest:
        flag, is_set, name = part.partition("=")
        if flag not in NAMES:
            yield part
            continue
        if not is_set:
            name = next(rest, "")
        if not name:
            raise UserError("flagfile: expected --flagfile=<file or system>; received none")
        path = _found(name)
        if path in within:
            raise UserError(f"flagfile: expected files that do not name one another; {path} does")
        yield from _flags(_lines(path), (*within, path))


def _lines(path: Path) -> list[str]:
    """The flags in a file: its lines but for empty ones and comments (# or //)."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"flagfile: expected lines of text, --name=value; {path}: {error}"
        ) from error
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def _found(name: str) -> Path:
    path = existing(name)
    if path is None:
        raise UserError(
            f"flagfile: expected a file of lines --name=value, or a system; received {name}, which "
            f"is no file; {_nearest(name)}--help lists all systems"
        )
    return path.resolve()


def _nearest(name: str) -> str:
    """The systems with names most like a given one, in words; empty where none is like it."""
    wanted = name.removeprefix(f"{ROOT}/").removesuffix(".cfg")
    names = difflib.get_close_matches(wanted, system_names(), NEAREST)
    return f"nearest: {', '.join(names)}; " if names else ""
