"""`pipelines.draw` on runs with networks of first weights: pictures, table, refusals."""

import numpy as np
import pytest
from absl import flags as absl_flags

from pipelines import draw
from pipelines.flags.parsing import parse
from pipelines.flags.run import run_group
from pipelines.runs.directory import RunDirectory
from pipelines.stages import drawing
from rt_tf import models
from rt_tf.errors import UserError
from rt_tf.reporting.figures.planes import Points

DATA = {"points": ((1, 2, 1), 2, "points_fc"), "digits": ((8, 8, 1), 10, "digits_fc")}


def run(folder, dataset="points"):
    """A run with an untrained network."""
    shape, classes, model = DATA[dataset]
    directory = RunDirectory(folder)
    directory.network.parent.mkdir(parents=True)
    models.build(model, shape, classes).save(directory.network)
    directory.freeze({"dataset": dataset, "model": model, "epsilon": "0.08", "validation": "24"})
    return directory


def flag_values(*words):
    values = absl_flags.FlagValues()
    parse(["draw", *words], [run_group(values), draw.draw_group(values)], "")
    return values


def test_pictures_and_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(drawing, "METHODS", {"interval": {}, "dual": {}})
    first, second = run(tmp_path / "first"), run(tmp_path / "second")
    words = [f"--model_dir={first.path}", f"--compare={second.path}", f"--out={tmp_path / 'out'}"]
    few = ["--resolution=12", "--directions=8", "--networks=1"]
    draw.draw(flag_values(*words, *few, f"--data_dir={tmp_path / 'data'}"))
    for name in ("regions", "trained", "random"):
        picture = tmp_path / "out" / f"plane-{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "second, point 0" in printed
    assert "random 0, eps 0.25" in printed


def test_other_data_and_points_that_are_not_there_are_refused(tmp_path):
    data_dir = f"--data_dir={tmp_path / 'data'}"
    digits, points = run(tmp_path / "digits", "digits"), run(tmp_path / "points")
    with pytest.raises(UserError, match="two pixels and two classes.*linf run on digits"):
        draw.draw(flag_values(f"--model_dir={digits.path}", data_dir, "--out=out"))
    with pytest.raises(UserError, match=r"point: expected one of 0..11; received 12"):
        draw.draw(flag_values(f"--model_dir={points.path}", data_dir, "--out=out", "--point=12"))


def test_boxes_that_hold_another_answer_are_crossed():
    """Answers 1 right of the middle: a box reaches over it from either side, or does not."""
    places = np.array([[0.2, 0.5], [0.45, 0.5], [0.55, 0.1], [0.9, 0.9]])
    points = Points(places, np.array([0, 0, 1, 1]), 0.1)
    answers = np.repeat((np.linspace(0, 1, 101) > 0.5)[:, np.newaxis], 101, axis=1).astype(int)
    assert points.crossed(answers).tolist() == [False, True, True, False]
    assert points.crossed(1 - answers).all()
