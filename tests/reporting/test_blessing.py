"""The verdict on an export: which file there is, and what it says."""

from pathlib import Path

import pytest

from rt_tf.reporting import statistics
from rt_tf.reporting.blessing import Blessing, write
from rt_tf.serving.saved_model import BLESSED, NOT_BLESSED


def verdict(count: int, images: int, bar: float) -> Blessing:
    question = {
        "threat": "linf",
        "epsilon": 0.1,
        "certified": statistics.rate(count, images),
        "certificate": {"sample": {"indices": f"0-{images - 1}"}},
    }
    return Blessing(question, bar, "c0ffee")


@pytest.mark.parametrize(
    ("count", "images", "bar", "name"),
    [
        (9, 10, 0.9, BLESSED),
        (27, 30, 0.9, BLESSED),
        (8999, 10000, 0.9, NOT_BLESSED),
        (0, 40, 0.0, BLESSED),
        (39, 40, 1.0, NOT_BLESSED),
        (40, 40, 1.0, BLESSED),
    ],
)
def test_a_rate_that_reaches_the_bar_is_blessed(
    count: int, images: int, bar: float, name: str
) -> None:
    assert verdict(count, images, bar).name == name


def test_one_file_says_all_and_replaces_the_other(tmp_path: Path) -> None:
    write(tmp_path, verdict(30, 40, 0.9))
    assert [path.name for path in tmp_path.iterdir()] == [NOT_BLESSED]
    write(tmp_path, verdict(38, 40, 0.9))
    (path,) = tmp_path.iterdir()
    assert path.name == BLESSED
    facts = dict(line.split(": ") for line in path.read_text().splitlines())
    low, high = map(float, facts.pop("interval_95").split())
    assert low == pytest.approx(0.83080, abs=1e-5)  # of R: binom.test(38, 40)
    assert high == pytest.approx(0.99389, abs=1e-5)
    assert facts == {
        "verified_accuracy": "0.95",
        "certified": "38",
        "images": "40",
        "indices": "0-39",
        "min_verified_accuracy": "0.9",
        "threat": "linf",
        "epsilon": "0.1",
        "network_sha256": "c0ffee",
    }


def test_the_verdict_in_words() -> None:
    words = "NOT_BLESSED: 35 of 40 images verified at linf 0.1, 87.5 %, below the bar of 90 %"
    assert verdict(35, 40, 0.9).line() == words
    assert "100 %, below" not in verdict(99999, 100000, 1.0).line()
