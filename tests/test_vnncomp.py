"""Other people's instances: what is read, kept, and called a contradiction."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import vnncomp
from benchmarks.vnncomp import Instance
from rt_tf.errors import UserError
from tests.interchange.files import dense_relu, vnnlib

HEAD = "onnx,vnnlib,time_limit_s,published_verdicts\n"


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "instances.csv"
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return path


def test_a_list_has_what_others_answered(tmp_path: Path) -> None:
    path = listed(tmp_path, "a/n.onnx,a/p.vnnlib.gz,300,sat:1|unsat:35", "b/n.onnx,b/p.vnnlib,20,")
    assert vnncomp.instances(path) == [
        Instance("a/n.onnx", "a/p.vnnlib.gz", {"sat": 1, "unsat": 35}),
        Instance("b/n.onnx", "b/p.vnnlib", {}),
    ]
    path.write_text("onnx,vnnlib\n")
    with pytest.raises(UserError, match="expected columns onnx, vnnlib, time_limit_s, published"):
        vnncomp.instances(path)


@pytest.mark.parametrize(
    ("answer", "published", "wanted"),
    [
        ("sat", {"unsat": 7}, True),
        ("unsat", {"sat": 1}, True),
        ("unsat", {"sat": 1, "unsat": 35}, False),
        ("sat", {"sat": 5}, False),
        ("sat", {}, False),
        ("timeout", {"sat": 5}, False),
        ("refused", {"unsat": 5}, False),
    ],
)
def test_only_the_opposite_answer_contradicts(answer, published, wanted) -> None:
    assert vnncomp.contradicts({"answer": answer, "published": published}) is wanted


@pytest.mark.parametrize(
    ("status", "out", "err", "wanted"),
    [
        (0, "unsat (crown)\n", "", ("unsat", "crown")),
        (2, "", "error: onnx_file: expected\n", ("refused", "error: onnx_file: expected")),
        (1, "", "Traceback ...\nValueError: 3\n", ("failed", "ValueError: 3")),
        (-9, "", "", ("failed", "exit -9")),
    ],
)
def test_a_refusal_is_one_line(status, out, err, wanted, monkeypatch, tmp_path: Path) -> None:
    ended = subprocess.CompletedProcess([], status, out, err)
    monkeypatch.setattr(vnncomp.subprocess, "run", lambda *_, **__: ended)
    row = vnncomp.answered(Instance("n.onnx", "p.vnnlib", {}), tmp_path, 3.0)
    assert (row["answer"], row["why"]) == wanted


def test_the_summary_has_the_latest_and_every_contradiction() -> None:
    names = ("n.onnx", "m.onnx", "n.onnx")
    answers = (("sat", 3.0), ("unsat", 31.5), ("timeout", 31.0))
    rows = [
        {"onnx": f"f/{name}", "vnnlib": "p", "published": {"sat": 1}, "answer": a, "seconds": s}
        for name, (a, s) in zip(names, answers, strict=True)
    ]
    assert vnncomp.summary(rows, 30.0) == {
        "answers": {"f": {"sat": 1, "unsat": 1, "timeout": 1}},
        "contradictions": ["f/m.onnx p"],
        "latest": 1.5,
    }


def test_answers_of_another_limit_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text(json.dumps(vnncomp.report([], 30.0)))
    assert vnncomp.read_rows(path, 30.0) == []
    with pytest.raises(UserError, match="time_limit: expected 30, as in .*, or another --json"):
        vnncomp.read_rows(path, 10.0)


@pytest.mark.slow
def test_instances_are_asked_and_none_twice(tmp_path: Path) -> None:
    """|x_0 - x_1| of inputs in [0, 1], in a gzipped file."""
    (tmp_path / "f").mkdir()
    dense_relu(tmp_path / "f" / "n.onnx", [[[1, -1], [-1, 1]], [[1, 1]]], [[0, 0], [0]])
    plain = vnnlib(tmp_path / "p", ["0", "0"], ["1", "1"], 1, "(assert (>= Y_0 0.5))")
    (tmp_path / "f" / "p.vnnlib.gz").write_bytes(gzip.compress(plain.read_bytes()))
    path = listed(tmp_path, "f/n.onnx,f/p.vnnlib.gz,300,sat:1")
    rows: list[vnncomp.Row] = []
    (row,) = vnncomp.run(path, 60.0, rows)
    assert (row["answer"], row["why"]) == ("sat", "attack")
    assert 0.0 < row["seconds"] < 60.0
    assert not list(vnncomp.run(path, 60.0, rows))
