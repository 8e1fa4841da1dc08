"""TFDS's prepared data sets, those that can be prepared here, or an error."""

import contextlib
import io
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf import json_format

from rt_tf.errors import UserError

NETWORK_TIMEOUT = 4.0  # seconds


@dataclass(frozen=True)
class Origin:
    """The place that a TFDS data set comes from.

    builder: makes its builder, of a data_dir. probe: an address of the download, by which it is
    seen at once whether it can be reached; None for one that needs no download. by_hand: of one
    that cannot be downloaded, the address of a page on its preparation.
    """

    name: str
    builder: Callable[..., tfds.core.DatasetBuilder]
    probe: str | None = None
    by_hand: str | None = None


def prepared(origin: Origin, data_dir: str | None, download: bool) -> tfds.core.DatasetBuilder:
    """The builder of a data set, prepared if that is possible; UserError if it is not."""
    with _silence():
        builder = _builder(origin, data_dir)
        if builder.is_prepared():
            return builder
        if is_address(data_dir):
            raise UserError(
                f"data set '{origin.name}': expected it prepared at {data_dir}; it is not"
            )
        folder = Path(data_dir or _default_folder(builder))
        if origin.by_hand is not None:
            raise UserError(
                f"data set '{origin.name}': expected it prepared by hand, as {origin.by_hand} "
                f"says; {_contents(folder)}"
            )
        if origin.probe is not None:
            _check_download(origin, folder, download)
        try:
            _prepare(origin, folder, Path(builder.data_dir))
        except (OSError, tf.errors.OpError, tfds.download.DownloadError) as error:
            raise UserError(
                f"data set '{origin.name}': cannot be prepared in '{folder}': {_line(error)}; "
                "--data_dir=<folder> names another place"
            ) from error
        return origin.builder(data_dir=data_dir)


def is_address(data_dir: str | None) -> bool:
    """Whether a data_dir is not a folder of this machine but an address, such as gs://..."""
    return data_dir is not None and "://" in data_dir


def _builder(origin: Origin, data_dir: str | None) -> tfds.core.DatasetBuilder:
    """The builder of a data set; UserError for an address or description that TFDS cannot read."""
    try:
        return origin.builder(data_dir=data_dir)
    except (json_format.Error, AssertionError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        where = f"'{data_dir}'" if data_dir else "TFDS's folder"
        raise UserError(
            f"data set '{origin.name}': expected its whole description in {where}; received "
            f"{type(error).__name__}: {_line(error)[:200]}"
        ) from error
    except (RuntimeError, OSError, KeyError, tf.errors.OpError) as error:
        if not is_address(data_dir):
            raise
        raise UserError(
            f"data_dir: expected a folder or an address that TFDS can read; {data_dir}: "
            f"{_line(error)[:300]}"
        ) from error


def _check_download(origin: Origin, folder: Path, download: bool) -> None:
    if not download:
        raise UserError(
            f"data set '{origin.name}': expected it prepared, but {_contents(folder)}; two ways to "
            "get it: --download where there is network, or --data_dir=<folder where it is prepared>"
        )
    if problem := _unreachable(origin.probe or ""):
        raise UserError(
            f"data set '{origin.name}': cannot be downloaded from {origin.probe} ({problem}), and "
            f"{_contents(folder)}; two ways to get it: --download where there is network, or "
            "--data_dir=<folder where it is prepared>"
        )


def _prepare(origin: Origin, folder: Path, target: Path) -> None:
    """Prepares beside the target, then renames: an interrupted or a second run does no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".preparing-") as scratch:
        builder = origin.builder(data_dir=scratch)
        builder.download_and_prepare(download_dir=f"{scratch}/downloads")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            Path(builder.data_dir).rename(target)
        except OSError:
            if not origin.builder(data_dir=str(folder)).is_prepared():  # not another run's work
                raise


def _default_folder(builder: tfds.core.DatasetBuilder) -> Path:
    """TFDS's own folder: the builder's is <folder>/<name>/<version>."""
    return Path(builder.data_dir).parent.parent


def _contents(folder: Path) -> str:
    """A phrase that lists the data sets of a data_dir."""
    if not folder.is_dir():
        return f"data_dir '{folder}' does not exist"
    infos = sorted(folder.glob("[!.]*/**/dataset_info.json"))
    sets = [str(info.parent.relative_to(folder)) for info in infos]
    return f"data_dir '{folder}' holds {', '.join(sets) or 'no data sets'}"


def _unreachable(url: str) -> str | None:
    """The reason why an address does not answer within NETWORK_TIMEOUT seconds; None if it does.

    In a thread of its own, since the look-up of a host's name heeds no timeout.
    """
    problems = [f"no answer in {NETWORK_TIMEOUT:g} s"]
    thread = threading.Thread(target=_ask, args=(url, problems), daemon=True)
    thread.start()
    thread.join(NETWORK_TIMEOUT)
    return problems[-1] if problems else None


def _ask(url: str, problems: list[str]) -> None:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT):
            problems.clear()
    except OSError as error:
        problems.append(_line(error))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps TFDS's announcements, progress bars and warnings off the terminal."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
