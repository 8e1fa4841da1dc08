"""Where data sets come from: what TFDS has prepared, what can be prepared here, or an error."""

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

from rt_tf.data import digits
from rt_tf.data.augment import Augmentation, flip_and_crop
from rt_tf.errors import UserError

NETWORK_TIMEOUT = 4.0  # seconds


@dataclass(frozen=True)
class Source:
    """What is particular to a data set.

    probe: an address of the download, to see at once whether it can be reached; None: needs none.
    """

    name: str
    builder: Callable[..., tfds.core.DatasetBuilder]
    probe: str | None
    pixel_max: int = 255
    augmentation: Augmentation | None = None


def _stock(name: str) -> Callable[..., tfds.core.DatasetBuilder]:
    return lambda data_dir: tfds.builder(name, data_dir=data_dir)


DIGITS = Source("digits", digits.Digits, probe=None, pixel_max=digits.PIXEL_MAX)
MNIST = Source(
    "mnist",
    _stock("mnist"),
    "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
)
FASHION_MNIST = Source(
    "fashion_mnist",
    _stock("fashion_mnist"),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
)
CIFAR10 = Source(
    "cifar10",
    _stock("cifar10"),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    augmentation=flip_and_crop,
)


def prepared(source: Source, data_dir: str | None, download: bool) -> tfds.core.DatasetBuilder:
    """The builder of a data set, prepared if that is possible; UserError if it is not."""
    with _silence():
        builder = source.builder(data_dir=data_dir)
        if builder.is_prepared():
            return builder
        folder = Path(data_dir or _default_folder(builder))
        if source.probe is not None:
            _check_download(source, folder, download)
        try:
            _prepare(source, folder, Path(builder.data_dir))
        except (OSError, tf.errors.OpError, tfds.download.DownloadError) as error:
            raise UserError(
                f"data set '{source.name}': cannot be prepared in '{folder}': {_line(error)}"
            ) from error
        return source.builder(data_dir=data_dir)


def _check_download(source: Source, folder: Path, download: bool) -> None:
    if not download:
        raise UserError(
            f"data set '{source.name}': expected it prepared, but {_contents(folder)}; two ways to "
            "get it: --download where there is network, or --data_dir=<folder where it is prepared>"
        )
    if problem := _unreachable(source.probe or ""):
        raise UserError(
            f"data set '{source.name}': cannot be downloaded from {source.probe} ({problem}), and "
            f"{_contents(folder)}; two ways to get it: --download where there is network, or "
            "--data_dir=<folder where it is prepared>"
        )


def _prepare(source: Source, folder: Path, target: Path) -> None:
    """Prepares beside the target, then renames: an interrupted or a second run does no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".preparing-") as scratch:
        builder = source.builder(data_dir=scratch)
        builder.download_and_prepare(download_dir=f"{scratch}/downloads")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            Path(builder.data_dir).rename(target)
        except OSError:
            if not source.builder(data_dir=str(folder)).is_prepared():  # not another run's work
                raise


def _default_folder(builder: tfds.core.DatasetBuilder) -> Path:
    """TFDS's own folder: the builder's is <folder>/<name>/<version>."""
    return Path(builder.data_dir).parent.parent


def _contents(folder: Path) -> str:
    """What a data_dir holds, in words."""
    if not folder.is_dir():
        return f"data_dir '{folder}' does not exist"
    infos = sorted(folder.glob("[!.]*/**/dataset_info.json"))
    sets = [str(info.parent.relative_to(folder)) for info in infos]
    return f"data_dir '{folder}' holds {', '.join(sets) or 'no data sets'}"


def _unreachable(url: str) -> str | None:
    """Why an address does not answer within NETWORK_TIMEOUT seconds; None if it does.

    In a thread of its own, since looking up a host's name heeds no timeout.
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
