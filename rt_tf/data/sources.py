"""The sources of data sets: TFDS's prepared ones, those that can be prepared here, or an error."""

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

from rt_tf.data import digits, points
from rt_tf.data.augment import Augmentation, crop, flip_and_crop
from rt_tf.errors import UserError

NETWORK_TIMEOUT = 4.0  # seconds


@dataclass(frozen=True)
class Source:
    """The particulars of a data set.

    shape: of an image. examples: for training. probe: an address of the download, by which it
    is seen at once whether it can be reached; None for one that needs no download. by_hand: of
    one that cannot be downloaded, the address of a page on its preparation. test: the split
    that stands for the test split. resized: whether its images have sizes of their own.
    """

    name: str
    builder: Callable[..., tfds.core.DatasetBuilder]
    probe: str | None
    shape: tuple[int, int, int]
    classes: int
    examples: int
    pixel_max: int = 255
    augmentation: Augmentation | None = None
    by_hand: str | None = None
    test: str = "test"
    resized: bool = False


def _stock(name: str) -> Callable[..., tfds.core.DatasetBuilder]:
    return lambda data_dir: tfds.builder(name, data_dir=data_dir)


DIGITS = Source("digits", digits.Digits, None, (8, 8, 1), 10, 1437, pixel_max=digits.PIXEL_MAX)
POINTS = Source("points", points.Points, None, (1, 2, 1), 2, points.POINTS * points.COPIES)
MNIST = Source(
    "mnist",
    _stock("mnist"),
    "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    (28, 28, 1),
    10,
    60_000,
)
FASHION_MNIST = Source(
    "fashion_mnist",
    _stock("fashion_mnist"),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
    (28, 28, 1),
    10,
    60_000,
)
CIFAR10 = Source(
    "cifar10",
    _stock("cifar10"),
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    (32, 32, 3),
    10,
    50_000,
    augmentation=flip_and_crop,
)
CIFAR100 = Source(
    "cifar100",
    _stock("cifar100"),
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    (32, 32, 3),
    100,
    50_000,
    augmentation=flip_and_crop,
)
SVHN = Source(
    "svhn_cropped",
    _stock("svhn_cropped"),
    "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
    (32, 32, 3),
    10,
    73_257,
    augmentation=crop,
)
IMAGENET = Source(
    "imagenet",
    _stock("imagenet2012"),
    None,
    (224, 224, 3),
    1000,
    1_281_167,
    augmentation=flip_and_crop,
    by_hand="https://www.tensorflow.org/datasets/catalog/imagenet2012",
    test="validation",
    resized=True,
)


def prepared(source: Source, data_dir: str | None, download: bool) -> tfds.core.DatasetBuilder:
    """The builder of a data set, prepared if that is possible; UserError if it is not."""
    with _silence():
        builder = _builder(source, data_dir)
        if builder.is_prepared():
            return builder
        if is_address(data_dir):
            raise UserError(
                f"data set '{source.name}': expected it prepared at {data_dir}; it is not"
            )
        folder = Path(data_dir or _default_folder(builder))
        if source.by_hand is not None:
            raise UserError(
                f"data set '{source.name}': expected it prepared by hand, as {source.by_hand} "
                f"says; {_contents(folder)}"
            )
        if source.probe is not None:
            _check_download(source, folder, download)
        try:
            _prepare(source, folder, Path(builder.data_dir))
        except (OSError, tf.errors.OpError, tfds.download.DownloadError) as error:
            raise UserError(
                f"data set '{source.name}': cannot be prepared in '{folder}': {_line(error)}"
            ) from error
        return source.builder(data_dir=data_dir)


def is_address(data_dir: str | None) -> bool:
    """Whether a data_dir is not a folder of this machine but an address, such as gs://..."""
    return data_dir is not None and "://" in data_dir


def _builder(source: Source, data_dir: str | None) -> tfds.core.DatasetBuilder:
    """The builder of a data set; UserError for an address that TFDS cannot read."""
    try:
        return source.builder(data_dir=data_dir)
    except (RuntimeError, OSError, KeyError, tf.errors.OpError) as error:
        if not is_address(data_dir):
            raise
        raise UserError(
            f"data_dir: expected a folder or an address that TFDS can read; {data_dir}: "
            f"{_line(error)[:300]}"
        ) from error


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
