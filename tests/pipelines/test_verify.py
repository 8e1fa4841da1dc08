"""Properties of ONNX networks decided, where the answer is known by other means."""

import itertools
import re
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import networks
import numpy as np
import pytest

from pipelines.runs.supervised import Ended
from pipelines.stages import verifying
from pipelines.stages.deciding import Clock, decided
from pipelines.stages.verifying import Answer
from rt_tf.certification.properties import counterexample, exclusion
from rt_tf.certification.properties.decision import Decider, VnnAnswer, decider
from rt_tf.certification.properties.exclusion import ClauseResult
from rt_tf.errors import UserError
from rt_tf.interchange import onnx_file, vnnlib_file
from rt_tf.interchange.nodes import scaling
from tests.certification import clauses
from tests.interchange.files import dense_relu, node, normal, robustness, save, vnnlib
from tests.pipelines.conftest import finish, start

# y = |x_0 - x_1|, by two units; a bound that takes each alone finds up to the sum of their maxima.
ABSOLUTE = ([[[1, -1], [-1, 1]], [[1, 1]]], [[0, 0], [0]])


@pytest.fixture
def absolute(tmp_path: Path) -> Path:
    return dense_relu(tmp_path / "net.onnx", *ABSOLUTE)


def at_least(folder: Path, number: str, lower=("0.1", "0.3"), upper=("0.2", "0.9")) -> Path:
    """Whether |x_0 - x_1| can be as large as a number: up to 4/5 in this box."""
    return vnnlib(folder / "p.vnnlib", lower, upper, 1, f"(assert (>= Y_0 {number}))")


def answer(network: Path, property_: Path, seconds: float = 60.0) -> VnnAnswer:
    return decided(network, property_, Clock(time.monotonic() + seconds))


@pytest.mark.parametrize(
    ("number", "wanted"), [("0.8001", "unsat"), ("0.7999", "sat"), ("0.75", "sat")]
)
def test_the_answer_is_that_of_exact_reasoning(number, wanted, absolute, tmp_path: Path) -> None:
    assert answer(absolute, at_least(tmp_path, number)).answer == wanted


NEAR = {"0.8": ["sat", "unknown"], "0.80000001": ["unknown"]}  # the maximum, and just above it


@pytest.mark.parametrize("number", networks.mostly_slow(list(NEAR), ["0.80000001"]))
def test_nothing_is_proved_within_the_rounding_of_float32(number, absolute, tmp_path: Path) -> None:
    assert answer(absolute, at_least(tmp_path, number)).answer in NEAR[number]


def test_outputs_in_a_narrow_band_are_found(absolute, tmp_path: Path) -> None:
    """Several rows at once, whose gradients point different ways."""
    band = "(assert (and (>= Y_0 0.6) (<= Y_0 0.7)))\n(assert (<= Y_0 0.61))"
    verdict = answer(absolute, vnnlib(tmp_path / "p", ["0", "0"], ["1", "1"], 1, band))
    assert verdict.answer == "sat"
    assert 0.6 <= verdict.counterexample.outputs[0] <= 0.61


@pytest.mark.parametrize("seed", range(4))
def test_answers_agree_with_a_grid_of_points(seed: int, tmp_path: Path) -> None:
    """Random networks of two inputs: what is unsat has no grid point, what is sat has its own."""
    matrices = [normal(6, 2, seed=seed), normal(5, 6, seed=9 + seed), normal(3, 5, seed=19 + seed)]
    biases = [normal(len(matrix), seed=seed + 30) for matrix in matrices]
    network = dense_relu(tmp_path / "net.onnx", matrices, biases)
    size = 0.1 * (1 + seed)
    lower, upper = [str(-size), "0.3"], [str(size), str(0.3 + size)]
    corners = [np.linspace(float(a), float(b), 60) for a, b in zip(lower, upper, strict=True)]
    grid = np.float32(list(itertools.product(*corners)))
    h = np.maximum(grid @ matrices[0].T + biases[0], 0)
    y = np.maximum(h @ matrices[1].T + biases[1], 0) @ matrices[2].T + biases[2]
    label = int(y[len(y) // 2].argmax())
    verdict = answer(network, vnnlib(tmp_path / "p.vnnlib", lower, upper, 3, robustness(label, 3)))
    errs = (y.argmax(axis=1) != label).any()
    assert verdict.answer in (("sat",) if errs else ("unsat", "sat", "unknown"))
    if verdict.counterexample is not None:
        outputs = verdict.counterexample.outputs
        assert np.delete(outputs, label).max() >= outputs[label]


def test_images_keep_their_order(tmp_path: Path) -> None:
    """A pixel of one channel decides; its number in the file is that of channels-first."""
    kernel = np.zeros((1, 2, 1, 1), np.float32)
    kernel[0, 1] = 1.0  # the second channel alone
    nodes = [node("Conv", "x k", "z"), node("Relu", "z", "h"), node("Flatten", "h", "f")]
    weights = {"k": kernel, "w": np.float32([[1, 0], [0, 0], [0, 0], [0, 1], [0, 0], [0, 0]])}
    nodes.append(node("MatMul", "f w", "y"))
    network = save(tmp_path / "net.onnx", nodes, weights, (1, 2, 2, 3))
    lower = [str(0.01 * i) for i in range(12)]
    upper = [str(0.01 * i + 0.001) for i in range(12)]  # pixels 6 and 9 are read
    for condition, wanted in (
        ("(assert (>= Y_1 0.0911))", "unsat"),
        ("(assert (<= Y_1 0.0905))", "sat"),
        ("(assert (or (and (<= Y_0 0.0599)) (and (>= Y_0 0.0611))))", "unsat"),
    ):
        verdict = answer(network, vnnlib(tmp_path / "p.vnnlib", lower, upper, 2, condition))
        assert verdict.answer == wanted
    property_ = vnnlib(tmp_path / "p.vnnlib", lower, upper, 2, "(assert (<= Y_1 0.0905))")
    point = answer(network, property_).counterexample.point
    ends = zip(point, lower, upper, strict=True)
    assert all(Fraction(low) <= x <= Fraction(high) for x, low, high in ends)


@pytest.mark.parametrize(("number", "wanted"), [("0.9", "sat"), ("1.3", "unsat")])
def test_properties_of_several_boxes_are_all_asked(number, wanted, absolute, tmp_path) -> None:
    """In the first box |x_0 - x_1| goes up to 0.9, in the second up to 1."""
    boxes = ["(and (<= X_0 0.4) (>= Y_0 0.95))", f"(and (>= X_0 0.6) (>= Y_0 {number}))"]
    condition = f"(assert (or {' '.join(boxes)}))"
    property_ = vnnlib(tmp_path / "p.vnnlib", ["0.1", "0"], ["1", "1"], 1, condition)
    assert answer(absolute, property_).answer == wanted


@pytest.mark.parametrize(("number", "wanted"), [("0.44", "sat"), ("0.46", "unsat")])
def test_boxes_beyond_one_batch_are_all_asked(
    number, wanted, absolute, tmp_path, monkeypatch
) -> None:
    """|x_0 - x_1| goes up to 0.45 in the last box, and to 0.4 in those before it."""
    monkeypatch.setattr(counterexample, "TRIALS", 4)
    monkeypatch.setattr(exclusion, "MEMORY", 1e-4)  # MiB: a box and a row at a time
    boxes = [f"(and (>= X_0 {k / 20}) (<= X_0 {(k + 1) / 20}))" for k in range(10)]
    condition = f"(assert (or {' '.join(boxes)}))\n(assert (>= Y_0 {number}))"
    property_ = vnnlib(tmp_path / "p", ["0", "0.05"], ["1", "0.1"], 1, condition)
    assert answer(absolute, property_).answer == wanted


@pytest.mark.parametrize("order", ["b z", "z b"])
def test_a_bias_is_not_what_other_readers_of_a_sum_get(order: str, tmp_path: Path) -> None:
    """y = relu(x + b) + x, at least 1.00005 here; a bias in both terms would have it 1.0001."""
    weights = {"w": np.eye(2, dtype=np.float32), "b": np.full(2, 5e-5, np.float32)}
    nodes = [node("MatMul", "x w", "z"), node("Add", order, "a"), node("Relu", "a", "h")]
    network = save(tmp_path / "net.onnx", [*nodes, node("Add", "h z", "y")], weights, (1, 2))
    property_ = vnnlib(tmp_path / "p", ["0.5"] * 2, ["1"] * 2, 2, "(assert (<= Y_0 1.000075))")
    assert answer(network, property_).answer == "sat"


def test_a_complete_search_is_asked_what_is_left_open(absolute, tmp_path: Path) -> None:
    property_ = vnnlib_file.read(at_least(tmp_path, "0.80000001"))
    calls = []

    def search(graph, region, rows, offsets, seconds) -> ClauseResult:
        calls.append((rows.shape.as_list(), [float(o) for o in offsets], seconds))
        return ClauseResult(excluded=len(calls) > 1)

    clock = Clock(time.monotonic() + 60.0)
    network = onnx_file.read(absolute)
    searches = {"first": search, "second": search}
    verdict = decider(network, property_, clock.left, searches).decide(property_)
    assert verdict == VnnAnswer("unsat", "second")
    assert [call[:2] for call in calls] == [([1, 1, 1], [-0.80000001])] * 2
    assert 0.0 < calls[0][2] <= 60.0


@pytest.mark.parametrize(("side", "wanted"), [(1e-3, "unsat"), (-1e-3, "sat")])
def test_units_are_split_where_inputs_are_many(side: float, wanted: str, tmp_path: Path) -> None:
    """A network of two inputs, and of ten more that it does not read."""
    model = clauses.dense_relu(2, 5, 4, 3, seed=4)
    row = [-1.0, 0.0, 0.0]
    region = clauses.box([-1.0, -0.75], [0.75, 1.0])
    most = -clauses.least_excess(model, region, clauses.clause([row], [0.0]))
    kernels = [layer.kernel.numpy() for layer in model.layers]
    kernels[0] = np.concatenate([kernels[0], np.zeros((10, 5))])
    biases = [layer.bias.numpy() for layer in model.layers]
    network = dense_relu(tmp_path / "net.onnx", [kernel.T for kernel in kernels], biases)
    lower, upper = [-1.0, -0.75, *[0] * 10], [0.75, 1.0, *[1] * 10]
    property_ = vnnlib(tmp_path / "p", lower, upper, 3, f"(assert (>= Y_0 {most + side:.9f}))")
    verdict = answer(network, property_)
    assert verdict.answer == wanted
    assert (verdict.by == "branch_and_bound") == (wanted == "unsat")


def test_what_no_search_can_do_is_said(tmp_path: Path) -> None:
    """tanh(x_0 - x_1) + tanh(x_1 - x_0) is 0; nothing splits tanh, nor boxes of so many inputs."""
    first = np.zeros((11, 2))
    first[:2] = [[1, -1], [-1, 1]]
    weights = {"v": np.float32(first), "w": np.ones((2, 1), np.float32)}
    nodes = [node("MatMul", "x v", "z"), node("Tanh", "z", "h"), node("MatMul", "h w", "y")]
    network = save(tmp_path / "net.onnx", nodes, weights, (1, 11))
    property_ = vnnlib(tmp_path / "p", [-1] * 11, [1] * 11, 1, "(assert (>= Y_0 0.25))")
    verdict = answer(network, property_)
    assert verdict.answer == "unknown"
    reasons = "input_splitting: more than 10 inputs; branch_and_bound: layer .* another activation"
    assert re.search(reasons, verdict.by)


def test_what_a_search_calls_a_counterexample_is_judged(absolute, tmp_path: Path) -> None:
    property_ = vnnlib_file.read(at_least(tmp_path, "0.80000001"))

    def search(*question) -> ClauseResult:
        return ClauseResult(excluded=False, point=np.float32([0.1, 0.9]))

    clock = Clock(time.monotonic() + 60.0)
    verdict = decider(onnx_file.read(absolute), property_, clock.left, {"wrong": search}).decide(
        property_
    )
    assert verdict.answer == "unknown"


def test_a_box_that_stays_open_does_not_end_the_search(absolute, tmp_path, monkeypatch) -> None:
    """A counterexample in the second box, which only a complete search meets."""
    monkeypatch.setattr(Decider, "_attack", lambda *_: None)
    boxes = ["(and (<= X_0 0.4) (>= Y_0 0.89))", "(and (>= X_0 0.6) (>= Y_0 0.9))"]
    condition = f"(assert (or {' '.join(boxes)}))"
    property_ = vnnlib_file.read(vnnlib(tmp_path / "p", ["0.1", "0"], ["1", "1"], 1, condition))

    def search(graph, region, rows, offsets, seconds) -> ClauseResult:
        first = region.upper.numpy().min() < 0.5
        return ClauseResult(excluded=False, point=None if first else np.float32([1.0, 0.0]))

    clock = Clock(time.monotonic() + 60.0)
    network = onnx_file.read(absolute)
    assert decider(network, property_, clock.left, {"a": search}).decide(property_).answer == "sat"
    verdict = decider(network, property_[:1], clock.left, {"a": search}).decide(property_[:1])
    assert verdict.answer == "unknown"


def ended_so(monkeypatch, ended: Ended, results: Path | None) -> None:
    """The command's answer where the work in a process of its own ended so."""
    monkeypatch.setattr(verifying, "until", lambda *_: ended)
    verifying.verify(Path(), Path(), results, end=0.0)


def test_an_answer_that_cannot_be_kept_is_told_all_the_same(monkeypatch, tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="results_file: expected a file that can be written"):
        ended_so(monkeypatch, Ended(Answer("sat", "attack", "sat")), tmp_path / "file" / "out.txt")
    assert capsys.readouterr().out == "sat (attack)\n"


@pytest.mark.parametrize(
    ("ended", "screen", "file"),
    [
        (Ended(late=True), "timeout (the time limit)\n", "timeout\n"),
        (Ended(signal="SIGKILL"), "unknown (ended by SIGKILL)\n", "unknown\n"),
    ],
)
def test_work_without_a_result_is_answered(ended, screen, file, monkeypatch, tmp_path, capsys):
    ended_so(monkeypatch, ended, tmp_path / "out.txt")
    assert capsys.readouterr().out == screen
    assert (tmp_path / "out.txt").read_text() == file


def test_time_that_is_over_is_a_timeout(absolute, tmp_path: Path) -> None:
    assert answer(absolute, at_least(tmp_path, "0.80001"), seconds=0.0).answer == "timeout"


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [(3, 1, "of 2 inputs and 1 outputs, .*received one of 3 and 1"), (2, 2, "one of 2 and 2")],
)
def test_properties_of_another_size_are_refused(inputs, outputs, words, absolute, tmp_path) -> None:
    ends = ["0"] * inputs, ["1"] * inputs
    with pytest.raises(UserError, match=words):
        answer(absolute, vnnlib(tmp_path / "p", *ends, outputs, "(assert (<= Y_0 1))"))


@pytest.fixture
def far(tmp_path: Path) -> tuple[Path, Path]:
    """y = relu(x - 5) 1e38 / 2e38, which is nothing near zero; asked whether 0.4 is met in [6, 7].

    The divisor's reciprocal is below float32's normal numbers.
    """
    nodes = [node("Sub", "x five", "z"), node("Relu", "z", "h"), node("Mul", "h huge", "m")]
    nodes.append(node("Div", "m more", "y"))
    weights = {"five": np.float32([5]), "huge": np.float32([1e38]), "more": np.float32([2e38])}
    network = save(tmp_path / "net.onnx", nodes, weights, (1, 1))
    return network, vnnlib(tmp_path / "p", ["6"], ["7"], 1, "(assert (>= Y_0 0.4))")


def test_a_divisor_with_a_tiny_reciprocal_divides(far) -> None:
    verdict = answer(*far)
    assert verdict.answer == "sat"
    x, y = float(verdict.counterexample.point[0]), float(verdict.counterexample.outputs[0])
    assert abs(y - (x - 5) / 2) < 1e-6


def test_a_network_that_is_read_wrongly_is_refused_where_it_is_asked_about(
    far, monkeypatch
) -> None:
    """The divisor's reciprocal in one step, which is flushed: wrong everywhere, but not near 0."""
    monkeypatch.setattr(scaling, "power_beyond", lambda scale: np.ones_like(scale))
    onnx_file.read(far[0])
    with pytest.raises(UserError, match="of 3 inputs of the property 0 have another label"):
        answer(*far)


def test_a_softmax_is_refused(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "z"), node("Softmax", "z", "y")]
    network = save(tmp_path / "net.onnx", nodes, {"w": normal(2, 2)}, (1, 2))
    property_ = vnnlib(tmp_path / "p", ["0"] * 2, ["1"] * 2, 2, "(assert (<= Y_0 1))")
    with pytest.raises(UserError, match="without a final softmax"):
        answer(network, property_)


def test_a_network_in_float64_is_refused(tmp_path: Path) -> None:
    """Properties are of the file's outputs, and bounds of those in float32."""
    network = Path(__file__).parents[1] / "interchange" / "networks" / "torch_doubles.onnx"
    property_ = vnnlib(tmp_path / "p", ["0"] * 5, ["1"] * 5, 3, "(assert (<= Y_0 1))")
    words = "expected a network in float32 .* the file computes in float64"
    with pytest.raises(UserError, match=words):
        answer(network, property_)


def test_the_command_answers_on_the_screen_and_in_a_file(absolute, tmp_path: Path) -> None:
    """Two processes: a counterexample, and a mistake in one line."""
    files = [f"--onnx_file={absolute}", f"--results_file={tmp_path / 'out.txt'}"]
    right = start("verify", *files, f"--vnnlib_file={at_least(tmp_path, '0.75')}")
    wrong = start("verify", *files, f"--vnnlib_file={tmp_path / 'absent'}")
    result, mistake = finish(right), finish(wrong)
    assert (result.returncode, result.stdout) == (0, "sat (attack)\n"), result.stderr
    first, *rest = (tmp_path / "out.txt").read_text().splitlines()
    assert first == "sat"
    values = {n: Fraction(Decimal(v)) for n, v in re.findall(r"\((\w+) (\S+?)\)", "".join(rest))}
    assert Fraction("0.1") <= values["X_0"] <= Fraction("0.2")
    assert Fraction("0.3") <= values["X_1"] <= Fraction("0.9")
    assert values["Y_0"] >= Fraction("0.75")
    assert abs(values["X_0"] - values["X_1"]) - values["Y_0"] < 1e-6
    assert mistake.returncode == 2
    words = f"error: vnnlib_file: expected a file; there is no file {tmp_path / 'absent'}\n"
    assert mistake.stderr == words
