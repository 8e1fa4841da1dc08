"""Certified radii in the report: counts known by hand, and contradictions that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from rt_tf.records.merge import Inconsistent
from rt_tf.records.record_file import RecordFile
from rt_tf.reporting.figures import style
from rt_tf.reporting.figures.radius_plots import certified_radii
from rt_tf.reporting.radii import STEPS, table_name
from rt_tf.reporting.report import page
from rt_tf.reporting.summary import summarise
from rt_tf.reporting.text import model_card, radius_lines
from tests.reporting.synthetic import MISCLASSIFIED, example, header

LARGEST, ASKED = 0.2, 40
NEAREST = 0.9 * 0.025  # to examples 4 and 5 in the synthetic run; 0.045 to 6 to 9, 0.09 to 10 to 23


def radius_of(index: int) -> float:
    """Below the counterexamples; falls from 0.076 by 0.005 where there are none; 0 for the last."""
    free = 0.001 + 0.005 * (ASKED - 1 - index) if index < ASKED - 1 else 0.0
    return 0.021 if index < 24 else free


def radius_row(index: int, certified: float, **changes):
    trials = [{"eps": LARGEST, "rung": "crown", "margin": -1.0, "certified": False, "cause": None}]
    if certified:
        trials.append({**trials[0], "eps": certified, "margin": 0.1, "certified": True})
    result = {"radius": certified, "rung": "crown" if certified else None, "trials": trials}
    return {**example(index), **result, "seconds": 0.5, "counterexample_at": None, **changes}


def write_radii(run_dir, threat="linf", rows=None, **changes):
    settings = {"rungs": ["crown_ibp", "crown"], "largest": LARGEST, "tolerance": 0.01}
    first = {**header("radius", 0.0, "radius"), "threat": threat, "settings": settings, **changes}
    file = RecordFile(run_dir / "records" / f"{table_name(threat)}.jsonl", first)
    file.append(rows or [radius_row(i, radius_of(i)) for i in range(ASKED)])


def test_without_a_search_nothing_is_told(run_dir):
    report = summarise(run_dir)
    assert report["radii"] == []
    assert "Certified radius" not in page(report, {})
    assert radius_lines(report) == []


def test_counts_are_those_of_the_lines(run_dir):
    write_radii(run_dir)
    [radius] = summarise(run_dir)["radii"]
    values = np.array([radius_of(i) for i in range(ASKED)])
    assert (radius["threat"], radius["largest"]) == ("linf", LARGEST)
    assert radius["rungs"] == {"crown_ibp": 0, "crown": ASKED - 1}
    assert radius["clean"]["count"] == ASKED - len(MISCLASSIFIED)
    assert radius["correct"]["mean"] == pytest.approx(values[4:].mean())
    assert radius["misclassified"]["mean"] == pytest.approx(0.021)
    assert radius["quantiles"]["0.5"] == pytest.approx(np.median(values))
    assert sum(group["n"] for group in radius["distribution"]) == ASKED
    medians = [group["median"] for group in radius["distribution"]]
    assert medians == sorted(medians)
    assert len(radius["curve"]) == STEPS + 1


@pytest.mark.parametrize(
    ("eps", "certified", "attacked"),
    [(0.0, 36, 36), (0.02, 32, 36), (0.05, 6, 30), (0.1, 0, 16), (0.2, 0, 16)],
)
def test_the_curves_are_of_all_images(run_dir, eps, certified, attacked):
    """Of 40, 4 are misclassified; 4 to 9 are broken within 0.05, 4 to 23 within 0.1."""
    write_radii(run_dir)
    curve = summarise(run_dir)["radii"][0]["curve"]
    [point] = [row for row in curve if row["epsilon"] == pytest.approx(eps)]
    counts = [(point[what]["count"], point[what]["n"]) for what in ("certified", "attacked")]
    assert counts == [(certified, 40), (attacked, 40)]


def test_another_threat_knows_no_counterexamples_of_this_one(run_dir):
    write_radii(run_dir, "l2", [radius_row(i, 0.15) for i in range(ASKED)])
    [radius] = summarise(run_dir)["radii"]
    assert radius["curve"][0]["attacked"] is None


def test_the_page_the_card_and_the_figure(run_dir):
    write_radii(run_dir)
    report = summarise(run_dir)
    assert "<h2>Certified radius</h2>" in page(report, {})
    [line] = radius_lines(report)
    assert line.startswith("certified radius (linf, up to 0.2): mean")
    assert f"- {line}" in model_card(report)
    figure = certified_radii(report["radii"][0])
    assert style.encode(figure) == style.encode(certified_radii(report["radii"][0]))
    steps = [patch for patch in figure.axes[1].patches if isinstance(patch, StepPatch)]
    drawn = {patch.get_label(): patch.get_data().values for patch in steps}
    curve = report["radii"][0]["curve"]
    assert curve[0]["certified"]["rate"] == 36 / 40
    # Between two radii, what is certified at the larger one, and not broken at the smaller one.
    assert drawn["certified"].tolist() == [row["certified"]["rate"] for row in curve[1:]]
    assert drawn["attacked"].tolist() == [row["attacked"]["rate"] for row in curve[:-1]]
    assert (drawn["certified"] <= drawn["attacked"]).all()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            radius_row(5, NEAREST),
            "example 5: certified up to 0.0225.*, falsified by a change",
        ),
        (radius_row(30, 0.1, radius=0.12), "radius 0.12 by crown, but the largest eps certified"),
        (radius_row(30, 0.1, radius=0.05), "radius 0.05 by crown, but the largest eps certified"),
        (radius_row(30, 0.1, rung="interval"), "by interval, but .* 0.1 by crown"),
        (radius_row(30, 0.1, trials=[]), "the largest eps certified in its trials is 0.0 by None"),
        (radius_row(30, 0.1, prediction=1), "example 30: prediction is"),
    ],
)
def test_contradictions_are_refused(run_dir, row, words):
    write_radii(run_dir, rows=[row])
    with pytest.raises(Inconsistent, match=words):
        summarise(run_dir)


def test_radii_of_another_network_are_refused(run_dir):
    write_radii(run_dir, network_sha256="cd" * 32)
    with pytest.raises(Inconsistent, match="network_sha256 is"):
        summarise(run_dir)
