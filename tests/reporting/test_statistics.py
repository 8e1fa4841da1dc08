"""Intervals against published values and closed forms; counts against hand counts."""

from __future__ import annotations

import numpy as np
import pytest

from rt_tf.reporting import distributions, outcomes, statistics

GOLDEN = [  # successes, n, low, high: Clopper-Pearson 95 %
    (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),
    (10, 10, 0.025 ** (1 / 10), 1.0),
    (8, 10, 0.443905, 0.974789),
    (1, 2, 0.012579, 0.987421),
    (95, 100, 0.887165, 0.983568),
]


@pytest.mark.parametrize(("successes", "n", "low", "high"), GOLDEN)
def test_interval(successes, n, low, high):
    rate = statistics.rate(successes, n)
    assert rate is not None
    assert (rate["count"], rate["n"], rate["rate"]) == (successes, n, successes / n)
    np.testing.assert_allclose([rate["low"], rate["high"]], [low, high], atol=1e-6)


def test_no_examples_no_rate():
    assert statistics.rate(0, 0) is None


@pytest.mark.parametrize(
    ("indices", "text"),
    [([], ""), ([3], "3"), (range(360), "0-359"), ([5, 0, 1, 9, 10], "0-1,5,9-10")],
)
def test_ranges(indices, text):
    assert statistics.ranges(indices) == text


def merged(margin, certified=False):
    verdict = "certified" if certified else "unknown"
    return {"margin": margin, "certificate": {"verdict": verdict, "cause": None}}


def test_margins_counts_every_example_once_and_splits_at_zero():
    values = [-1.0, -0.2, 0.0, 0.001, 0.5, 0.5, 2.0, 1e6]
    rows = [merged(value) for value in values for _ in range(50)] + [merged(None)]
    histogram = distributions.margins(rows)
    assert histogram is not None
    edges, counts = np.array(histogram["edges"]), np.array(histogram["counts"])
    assert 0.0 in edges
    assert len(counts) == len(edges) - 1
    assert counts.sum() + histogram["below"] + histogram["above"] == 50 * len(values)
    assert counts[edges[:-1] < 0].sum() + histogram["below"] == 50 * 3  # 0 is not certified
    assert histogram["missing"] == 1


def test_margin_outliers_do_not_stretch_the_axis():
    rows = [merged(value) for value in np.linspace(0.01, 1, 1000)] + [merged(-1e9), merged(1e9)]
    histogram = distributions.margins(rows)
    assert histogram is not None
    assert (histogram["below"], histogram["edges"][0] >= -0.05) == (1, True)
    assert 0.9 < histogram["edges"][-1] < 1.1
    assert histogram["above"] >= 1


@pytest.mark.parametrize("values", [[0.3], [0.0], [-1e-9], [-5.0, -5.0]])
def test_margins_of_few_examples(values):
    histogram = distributions.margins([merged(value) for value in values])
    assert histogram is not None
    assert sum(histogram["counts"]) + histogram["below"] + histogram["above"] == len(values)


def test_margins_of_none():
    assert distributions.margins([merged(None)]) is None


def rung(verdict, margin, **more):
    return {"verdict": verdict, "margin": margin, "seconds": 0.5, **more}


def row(name, cause, verdict="unknown", **rungs):
    certificate = {"verdict": verdict, "cause": cause}
    return {"rung": name, "rungs": rungs, "certificate": certificate}


def test_rungs_tell_the_causes_apart():
    rows = [
        row("a", None, "certified", a=rung("certified", 1.0)),
        row("b", None, "certified", a=rung("unknown", -1.0), b=rung("certified", 0.5)),
        row("a", None, "certified", a=rung("certified", 0.5), b=rung("certified", 0.6)),
        row(None, "loose", a=rung("unknown", -1.0), b=rung("unknown", -0.1)),
        row(None, "time", a=rung("unknown", -1.0), b=rung("unknown", None)),
        row(None, "error", a=rung("unknown", None), b=rung("unknown", None, cause="time")),
        row(None, "memory", a=rung("unknown", None, cause="memory"), b=rung("unknown", -0.1)),
        row(None, "loose", b=rung("probable", 0.3)),
    ]
    a, b = outcomes.rungs(rows)
    expected_a = {"certified": 2, "credited": 2, "loose": 3, "time": 0, "memory": 1, "error": 1}
    expected_a |= {"infinite": 0, "incomplete": 0}
    expected_b = {"certified": 2, "credited": 1, "loose": 2, "time": 2, "memory": 0, "error": 0}
    expected_b |= {"infinite": 0, "incomplete": 0}
    none = {"falsified": 0, "probable": 0, "trusted": 0}
    assert a == {"rung": "a", "tried": 7, "seconds": 3.5, **none, **expected_a}
    assert b == {"rung": "b", "tried": 7, "seconds": 3.5, **none, **expected_b, "probable": 1}
