"""Side by side with a peer: its protocol, the turns and their ratios, what is refused."""

import io
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from benchmarks.side_by_side import __main__ as command
from benchmarks.side_by_side import comparison, export
from benchmarks.side_by_side.comparison import Times
from benchmarks.side_by_side.lines import LINES, Line
from benchmarks.side_by_side.worker import Peer
from rt_tf.errors import UserError

ROOT = Path(__file__).parents[1]
FAST = Line("small", "certification", "interval", 2)
SOUND = FAST._replace(arithmetic="sound")
STANDS_IN = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["ask"] == "end":
        sys.exit("no torch here")
    if asked["ask"] == "prepare":
        answer = {"values": [[[0.0] * 9] * 2], "mode": "patches"}
    else:
        answer = {"received": asked}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A peer that repeats what it is asked, computes zeros, and can end."""
    path = tmp_path / "peer.py"
    path.write_text(STANDS_IN)
    return path


def test_the_peer_answers_one_question_after_another(script: Path) -> None:
    with Peer(sys.executable, script) as peer:
        for moment in (0.5, 0.25):
            received = peer.ask("turn", moment=moment)["received"]
            assert received == {"ask": "turn", "moment": moment}


def test_a_peer_that_ends_is_told_of_with_its_last_words(script: Path) -> None:
    with Peer(sys.executable, script) as peer:
        for _ in range(2):
            with pytest.raises(UserError, match="expected the Python .* it ended: no torch here"):
                peer.ask("end")


@pytest.mark.parametrize("python", ["", "/nowhere/bin/python"])
def test_without_the_peers_python_one_line_says_what_is_expected(
    python: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "pin", lambda core: None)
    monkeypatch.setattr(sys, "argv", ["side_by_side", f"--peer_python={python}"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected the Python of an environment with torch and auto_LiRPA" in line
    assert f"received '{python}'" in line


def test_values_of_the_peer_that_are_others_are_refused(script: Path) -> None:
    with (
        Peer(sys.executable, script) as peer,
        pytest.raises(UserError, match="small, certification, interval, fast: expected the peer's"),
    ):
        command.measured(FAST, peer, rounds=1, moment=0.0)


@pytest.mark.parametrize(
    ("line", "ours", "is_refused"),
    [
        (FAST, [-10.0, 5.001], False),
        (FAST, [-10.0, 4.98], True),
        (FAST, [-10.0, 5.02], True),
        (FAST, [-10.0, np.nan], True),
        (FAST, [-10.0], True),
        (SOUND, [-10.0, 4.98], False),
        (SOUND, [-10.0, 4.6], True),
        (SOUND, [-10.0, 5.02], True),
    ],
)
def test_values_differ_by_rounding_alone(line: Line, ours: list[float], is_refused: bool) -> None:
    if not is_refused:
        comparison.refuse_difference(line, ours, [-10.0, 5.0])
        return
    with pytest.raises(UserError, match=r"expected .*; received"):
        comparison.refuse_difference(line, ours, [-10.0, 5.0])


def test_sides_take_turns_and_every_other_round_begins_with_the_peer() -> None:
    order: list[str] = []

    def turn(name: str, *seconds: float) -> list[float]:
        order.append(name)
        return list(seconds)

    times = comparison.take_turns(lambda: turn("ours", 1.0), lambda: turn("theirs", 2.0, 3.0), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert times == Times([[1.0]] * 3, [[2.0, 3.0]] * 3)


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A machine that slows down for a round slows both sides of it."""
    times = Times([[1.0, 1.0, 9.0], [4.0], [2.0]], [[3.0], [8.0], [5.0]])
    assert times.ratio == 2.5
    assert times.milliseconds == (2000.0, 5000.0)


def test_the_table_has_a_row_for_each_line() -> None:
    out = io.StringIO()
    times = Times([[0.001]], [[0.0005]])
    Console(file=out, width=100).print(comparison.table([(FAST, times), (SOUND, times)]))
    cells = [[cell.strip() for cell in line.split("│")] for line in out.getvalue().splitlines()]
    rows = [row[1:-1] for row in cells if len(row) > 2]
    ends = ["2", "1", "0.5", "0.50"]
    assert rows == [
        ["small", "certification", f"interval, {mode}", *ends] for mode in ("fast", "sound")
    ]
    assert comparison.record(FAST, times)["ratio"] == 0.5


def test_lines_are_of_every_method_and_each_stands_once() -> None:
    assert len(set(LINES)) == len(LINES)
    assert {line.method for line in LINES} == {"natural", "interval", "crown_ibp", "crown"}


def test_the_file_for_the_peer_has_the_same_network(tmp_path: Path) -> None:
    """Its logits are computed here by products of windows, channels first."""
    keras.utils.set_random_seed(1)
    start = keras.Input((4, 4, 2))
    x = keras.layers.ZeroPadding2D(1)(start)
    x = keras.layers.ReLU()(keras.layers.Conv2D(3, 3, 2, bias_initializer="normal")(x))
    outputs = keras.layers.Dense(5, bias_initializer="normal")(keras.layers.Flatten()(x))
    model = keras.Model(start, outputs)
    images = np.random.default_rng(0).random((2, 4, 4, 2), np.float32)
    export.write(tmp_path / "network.npz", model, images, np.array([0, 1]))

    with np.load(tmp_path / "network.npz") as file:
        padded = np.pad(file["images"], [(0, 0), (0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
        hidden = np.einsum("bcijkl,ockl->boij", windows, file["kernel0"])
        hidden = np.maximum(hidden + file["bias0"][:, None, None], 0.0).reshape(2, -1)
        logits = hidden @ file["kernel3"].T + file["bias3"]
    np.testing.assert_allclose(logits, model(images).numpy(), rtol=1e-4, atol=1e-5)


def test_a_network_with_other_layers_is_refused() -> None:
    start = keras.Input((4, 4, 2))
    model = keras.Model(start, keras.layers.MaxPooling2D(2, name="pool")(start))
    with pytest.raises(UserError, match="received 'pool'"):
        export.layers(model)


def test_tensorflow_begins_with_what_the_library_sets() -> None:
    """In all benchmarks: oneDNN's setting is read when TensorFlow is first imported."""
    program = (
        "import sys, benchmarks, os; assert 'tensorflow' not in sys.modules; "
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    bare = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, env=bare, check=True, capture_output=True, text=True)
    assert output.stdout.strip() == "1"
