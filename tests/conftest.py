"""What all tests share."""

import hashlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

import rt_tf  # noqa: F401 - it sets what TensorFlow reads when it is first imported

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is first imported

# Decoded data sets are kept for the length of the tests; processes that they start share them.
OWN_CACHE = "RT_TF_CACHE_DIR" not in os.environ
if OWN_CACHE:
    os.environ["RT_TF_CACHE_DIR"] = tempfile.mkdtemp(prefix="rt_tf-tests-")

# A shell that starts the tests in the background has their processes ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option of a part of the tests, where a machine has no time for all."""
    about = "run the k-th of n equal parts of the tests, such as 1/3, drawn by their names"
    parser.addoption("--part", default="1/1", help=about)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests of other parts, and counts them as deselected."""
    part, _, count = config.getoption("--part").partition("/")
    others = [item for item in items if _number(item) % int(count) != int(part) - 1]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def _number(item: pytest.Item) -> int:
    return int(hashlib.sha256(item.nodeid.encode()).hexdigest()[:8], 16)


def pytest_unconfigure() -> None:
    """Removes the cache of the process that made it."""
    if OWN_CACHE:
        shutil.rmtree(os.environ["RT_TF_CACHE_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir in which the embedded digits are prepared."""
    from rt_tf import data

    folder = tmp_path_factory.mktemp("data")
    data.load("digits", folder)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of prepared TFDS data sets that RT_TF_DATA_DIR names; skips without one."""
    folder = os.environ.get("RT_TF_DATA_DIR")
    if not folder:
        pytest.skip("RT_TF_DATA_DIR is not set: expected a folder of prepared TFDS data sets")
    return Path(folder)
