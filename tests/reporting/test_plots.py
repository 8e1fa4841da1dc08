"""Figures: drawn from what there is, deterministic bytes, no global state."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf

from rt_tf.reporting.distributions import pace
from rt_tf.reporting.figures import curves, pictures, plots, style
from rt_tf.reporting.statistics import rate
from rt_tf.reporting.summary import main_question, summarise
from tests.reporting.synthetic import originals


@pytest.fixture
def report(run_dir):
    return summarise(run_dir)


def figures(report):
    main = main_question(report)
    examples = report["examples"]["linf"]
    before = originals([e["index"] for e in examples])
    return {
        "eps": curves.accuracy_by_eps(report["questions"], report["lines"], main["epsilon"]),
        "training": plots.training_curves(report["training"]["history"]),
        "margins": plots.margin_histogram(main["margins"]),
        "classes": plots.class_bars(
            main["classes"], [str(row["label"]) for row in main["classes"]]
        ),
        "examples": pictures.adversarial_examples(before, before + 0.04, examples),
    }


def test_bytes_are_images_and_repeat(report):
    once, again = figures(report), figures(report)
    for name, figure in once.items():
        svg = style.encode(figure)
        assert svg.lstrip().startswith(b"<?xml")
        assert svg == style.encode(again[name])
        assert style.encode(figure, "png", dpi=40).startswith(b"\x89PNG")


def test_no_pyplot_and_no_style_left_behind(report):
    before = dict(matplotlib.rcParams)
    figures(report)
    assert dict(matplotlib.rcParams) == before
    assert Gcf.get_all_fig_managers() == []


def test_accuracy_curves_carry_the_numbers(report):
    """Lines go through the same images alone: 40 were certified at each radius, 60 at two."""
    axes = curves.accuracy_by_eps(report["questions"], report["lines"], 0.05).axes[0]
    lines = {c.get_label(): c.lines[0] for c in axes.containers if c.get_label() != "_apart"}
    assert {line.get_linestyle() for line in lines.values()} == {"-"}
    drawn = {name: line.get_xydata().tolist() for name, line in lines.items()}
    assert drawn["certified"] == [[0.025, 32 / 40], [0.05, 25 / 40], [0.1, 0.0]]
    assert drawn["attacked"] == [[0.05, 50 / 60], [0.1, 36 / 60]]
    marks = [c.lines[0] for c in axes.containers if c.get_label() == "_apart"]
    assert {line.get_linestyle() for line in marks} == {"None"}
    assert [line.get_xydata().tolist() for line in marks[1:]] == [
        [[0.025, 24 / 30]],
        [[0.05, 45 / 60], [0.1, 20 / 60]],
    ]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    # No gap is shaded between accuracies of different images.
    assert labels == ["clean", "attacked", "certified", "other images or means"]


def test_settled_against_time():
    row = {"correct": True, "seconds": 0.01, "certificate": {"verdict": "certified"}}
    broken = {**row, "seconds": 0.5, "certificate": {"verdict": "falsified"}}
    left = {**row, "seconds": 3.0, "certificate": {"verdict": "unknown"}}
    wrong = {**row, "correct": False, "seconds": 0.0, "certificate": {"verdict": "falsified"}}
    rows = pace([row, row, broken, left, wrong])
    at = {r["seconds"]: (r["certified"], r["falsified"], r["open"]) for r in rows}
    assert at[0.01] == at[0.422] == (2, 0, 2)
    assert at[0.562] == at[3.16] == (2, 1, 1)
    assert (min(at), max(at)) == (0.01, 3.16)
    axes = curves.settled_by_time(rows).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["certified", "falsified"]
    assert axes.lines[0].get_ydata()[0] == 4
    assert curves.settled_by_time(pace([row, row])) is None
    assert curves.settled_by_time(pace([wrong])) is None


def test_one_radius_and_a_missing_certificate(report):
    question = {**report["questions"][0], "certified": None}
    axes = curves.accuracy_by_eps([question]).axes[0]
    assert [c.get_label() for c in axes.containers] == ["clean", "attacked"]
    assert style.encode(axes.figure)


def falling(radii: int, zero_from: int) -> list[dict]:
    """A curve of attacks alone, at 0 from a radius on."""
    left = [max(0, 90 - 90 * k // zero_from) for k in range(radii)]
    rates = {"clean": rate(95, 100), "certified": None}
    return [
        {"threat": "union", "epsilon": 0.1 * k, **rates, "attacked": rate(left[k], 100)}
        for k in range(radii)
    ]


def lines_of(questions: list[dict]) -> list[dict]:
    """One through all radii for each accuracy there is."""
    sample = {"n": 100, "indices": "0-99", "sha256": ""}
    return [
        {
            "threat": "union",
            "accuracy": what,
            "by": ["pgd"],
            "sample": sample,
            "points": [{"epsilon": q["epsilon"], "rate": q[what]} for q in questions],
        }
        for what in ("clean", "attacked")
    ]


@pytest.mark.parametrize("radii", [8, 20])
def test_curves_to_zero(radii):
    questions = falling(radii, zero_from=5)
    axes = curves.accuracy_by_eps(questions, lines_of(questions)).axes[0]
    [text] = [text.get_text() for text in axes.texts]
    assert text == "0 % attacked from 0.5"
    assert axes.get_xlabel() == "eps (times the stated radii)"
    bars, bands = (2, 0) if radii == 8 else (0, 2)  # of clean and of attacked
    assert (len(axes.containers), len(axes.collections) - bars) == (bars, bands)
    again = curves.accuracy_by_eps(questions, lines_of(questions))
    assert style.encode(axes.figure) == style.encode(again)


def test_a_long_curve_carries_the_numbers():
    questions = falling(20, zero_from=5)
    lines = curves.accuracy_by_eps(questions, lines_of(questions)).axes[0].get_lines()
    drawn = {line.get_label(): line.get_xydata().tolist() for line in lines}
    assert drawn["attacked"] == [[q["epsilon"], q["attacked"]["rate"]] for q in questions]


def test_a_curve_that_ends_above_zero_claims_nothing():
    questions = [*falling(6, zero_from=4), {**falling(1, 1)[0], "epsilon": 0.6}]
    assert not curves.accuracy_by_eps(questions).axes[0].texts


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


def test_schedules_that_move_at_some_epochs_go_in_steps_and_lines_end_with_their_phase():
    def epoch(k):
        bound = {} if k < 4 else {"bound_loss": 1.0 / k}
        rates = {"learning_rate": 0.1 if k < 6 else 0.02, "eps": 0.01 * k, "kappa": 0.0}
        return {"phase": int(k >= 4), "step": 10 * k, "loss": 2.0 / (1 + k), **rates, **bound}

    panels = plots.training_curves([epoch(k) for k in range(8)]).axes
    lines = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    styles = {name: lines[name].get_drawstyle() for name in ("learning rate", "eps", "loss")}
    assert styles == {"learning rate": "steps-pre", "eps": "default", "loss": "default"}
    drawn = lines["bound_loss"].get_ydata()
    assert np.isnan(drawn[:4]).all()
    assert drawn[4:].tolist() == [1 / 4, 1 / 5, 1 / 6, 1 / 7]


def test_a_picture_says_what_the_image_itself_is_called_where_that_is_wrong():
    before = np.full((2, 5, 5, 1), 0.5, np.float32)
    example = {"label": 3, "prediction": 5, "distance": 0.0625, "name": "pgd"}
    panels = pictures.adversarial_examples(
        before, before + 0.1, [{**example, "answer": 7}, {**example, "answer": 3}]
    ).axes
    assert [a.get_title() for a in panels[:2]] == ["is 3, called 7", "is 3"]


def test_nothing_to_draw():
    assert curves.accuracy_by_eps([]) is None
    assert plots.training_curves([]) is None
    assert plots.margin_histogram(None) is None
    assert plots.class_bars([], []) is None
    assert pictures.adversarial_examples(np.zeros((0, 4, 4, 1)), np.zeros((0, 4, 4, 1)), []) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_examples_show_original_adversarial_and_amplified_difference(channels):
    before = np.full((2, 5, 5, channels), 0.5, np.float32)
    after = before.copy()
    after[0, 1, 2], after[1, 3, 3] = 0.6, 0.45
    common = {"distance": 0.0625, "name": "pgd 50\N{MULTIPLICATION SIGN}10 from another network"}
    examples = [{"label": 3, "prediction": 5, **common}, {"label": 4, "prediction": None, **common}]
    panels = pictures.adversarial_examples(before, after, examples).axes
    difference = np.asarray(panels[4].get_images()[0].get_array()).reshape(5, 5, -1)
    assert difference[1, 2, 0] == pytest.approx(1.0)
    assert difference[0, 0, 0] == 0.5
    assert [a.get_title() for a in panels[:4]] == ["is 3", "is 4", "called 5", "called ?"]
    title = "at 0.0625\npgd 50\N{MULTIPLICATION SIGN}10 from\nanother network"
    assert panels[4].get_title() == title
    assert panels[4].get_ylabel() == "difference\n\N{MULTIPLICATION SIGN}5"
