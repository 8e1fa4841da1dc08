"""The order of rungs, by hand."""

import numpy as np

from rt_tf.certification.plan import Measured, order, total


def measured(seconds: float | list[float], settles: str) -> Measured:
    """settles: a digit for every example."""
    settled = np.array([digit == "1" for digit in settles])
    return Measured(np.broadcast_to(np.array(seconds, float), settled.shape), settled)


def test_a_rung_is_paid_for_what_is_still_open() -> None:
    rungs = {"a": measured(1.0, "1100"), "b": measured([2.0, 2.0, 3.0, 5.0], "1111")}
    assert total(rungs, ["a", "b"]) == 4.0 + 8.0
    assert total(rungs, ["b"]) == 12.0
    assert total(rungs, ["b", "a"]) == 12.0


def test_cheap_rungs_that_settle_much_come_first() -> None:
    rungs = {
        "slow": measured(4.0, "1110"),
        "quick": measured(0.1, "1000"),
        "search": measured(50.0, "1111"),
    }
    assert order(rungs) == ["quick", "slow", "search"]


def test_what_settles_nothing_new_is_left_out() -> None:
    rungs = {
        "interval": measured(0.1, "1110"),
        "attack": measured(1.0, "0000"),
        "crown": measured(2.0, "1110"),
        "search": measured(9.0, "1111"),
    }
    assert order(rungs) == ["interval", "search"]


def test_a_search_that_is_cheap_on_easy_examples_is_asked_alone() -> None:
    rungs = {
        "crown": measured(2.0, "1110"),
        "search": measured([0.1, 0.1, 0.1, 9.0], "1111"),
    }
    assert order(rungs) == ["search"]


def test_examples_that_different_rungs_settle() -> None:
    rungs = {
        "bound": measured(1.0, "1110"),
        "attack": measured(1.0, "0001"),
        "search": measured(9.0, "1111"),
    }
    assert order(rungs) == ["bound", "attack", "search"]
