"""Figures: drawn from what there is, deterministic bytes, no global state."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf

from rt_tf.reporting import plots
from rt_tf.reporting.summary import main_question, summarise
from tests.reporting.synthetic import originals


@pytest.fixture
def report(run_dir):
    return summarise(run_dir)


def figures(report):
    main = main_question(report)
    before = originals([e["index"] for e in main["examples"]])
    return {
        "eps": plots.accuracy_by_eps(report["questions"], main["epsilon"]),
        "training": plots.training_curves(report["training"]["history"]),
        "margins": plots.margin_histogram(main["margins"]),
        "classes": plots.class_bars(main["classes"]),
        "examples": plots.adversarial_examples(before, before + 0.04, main["examples"]),
    }


def test_bytes_are_images_and_repeat(report):
    once, again = figures(report), figures(report)
    for name, figure in once.items():
        svg = plots.encode(figure)
        assert svg.lstrip().startswith(b"<?xml")
        assert svg == plots.encode(again[name])
        assert plots.encode(figure, "png", dpi=40).startswith(b"\x89PNG")


def test_no_pyplot_and_no_style_left_behind(report):
    before = dict(matplotlib.rcParams)
    figures(report)
    assert dict(matplotlib.rcParams) == before
    assert Gcf.get_all_fig_managers() == []


def test_accuracy_curves_carry_the_numbers(report):
    axes = plots.accuracy_by_eps(report["questions"], 0.05).axes[0]
    curves = {c.get_label(): c.lines[0].get_xydata().tolist() for c in axes.containers}
    assert curves["certified"] == [[0.025, 32 / 40], [0.05, 45 / 60], [0.1, 20 / 60]]
    assert curves["attacked"] == [[0.025, 24 / 30], [0.05, 50 / 60], [0.1, 36 / 60]]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["clean", "attacked", "certified", "not known"]


def test_one_radius_and_a_missing_certificate(report):
    question = {**report["questions"][0], "certified": None}
    axes = plots.accuracy_by_eps([question]).axes[0]
    assert [c.get_label() for c in axes.containers] == ["clean", "attacked"]
    assert plots.encode(axes.figure)


def test_histogram_is_coloured_by_verdict(report):
    histogram = main_question(report)["margins"]
    certified, other = plots.margin_histogram(histogram).axes[0].containers
    assert all(bar.get_x() >= 0 for bar in certified)
    assert all(bar.get_x() < 0 for bar in other)
    heights = sum(bar.get_height() for bar in [*certified, *other])
    assert heights == sum(histogram["counts"])


def test_training_curves_leave_out_what_is_null(report):
    panels = plots.training_curves(report["training"]["history"]).axes
    titles = [axes.get_title("left") for axes in panels]
    assert titles[:3] == ["loss", "accuracy, train", "accuracy, validation"]
    named = [
        [line.get_label() for line in a.get_lines() if line.get_label()[0] != "_"] for a in panels
    ]
    assert named[0] == ["loss", "point_loss", "bound_loss"]
    assert named[2] == ["clean", "attacked"]  # verified is null on validation


def test_nothing_to_draw():
    assert plots.accuracy_by_eps([]) is None
    assert plots.training_curves([]) is None
    assert plots.margin_histogram(None) is None
    assert plots.class_bars([]) is None
    assert plots.adversarial_examples(np.zeros((0, 4, 4, 1)), np.zeros((0, 4, 4, 1)), []) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_examples_show_original_adversarial_and_amplified_difference(channels):
    before = np.full((2, 5, 5, channels), 0.5, np.float32)
    after = before.copy()
    after[0, 1, 2], after[1, 3, 3] = 0.6, 0.45
    examples = [{"label": 3, "prediction": 5}, {"label": 4, "prediction": None}]
    panels = plots.adversarial_examples(before, after, examples).axes
    difference = np.asarray(panels[4].get_images()[0].get_array()).reshape(5, 5, -1)
    assert difference[1, 2, 0] == pytest.approx(1.0)
    assert difference[0, 0, 0] == 0.5
    assert [a.get_title() for a in panels[:4]] == ["is 3", "is 4", "called 5", "called ?"]
    assert panels[4].get_ylabel() == "difference\n\N{MULTIPLICATION SIGN}5"
