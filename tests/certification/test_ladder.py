"""The ladder: order of rungs, what it passes on, its refusals, and where it is sound."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.ladder import Finding, Ladder
from rt_tf.certification.radius import RadiusSearch
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.proofs.network_file import network_arrays
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers
RUNGS = ["interval", "crown_ibp"]
EPS = 0.02


def climbed(ladder, x, labels, eps):
    """The findings by rung, in the examples' order."""
    findings = dict(ladder.climb(x, labels, eps))
    assert len(findings) == len(labels)
    return [findings[row] for row in range(len(labels))]


pytestmark = pytest.mark.usefixtures("full_precision")


@pytest.fixture(scope="module")
def examples():
    model, wiring = networks.known("conv_same")
    x = networks.images(wiring.input_shape, 24)
    return wiring, x, model(x).numpy().argmax(axis=-1)


def test_each_rung_gets_what_the_one_before_left_open(examples):
    wiring, x, labels = examples
    findings = climbed(Ladder(wiring, Linf(), RUNGS), x, labels, EPS)
    assert len(findings) == len(x)
    assert {tuple(f) for f in findings} == {("interval",), ("interval", "crown_ibp")}
    for f in findings:
        assert f["interval"].certified == ("crown_ibp" not in f)
        assert all(finding.seconds > 0 for finding in f.values())
    assert any(f["crown_ibp"].certified for f in findings if "crown_ibp" in f)


def test_margins_are_the_sound_bounds_whatever_the_padding(examples):
    wiring, x, labels = examples
    region = Region(Linf(), tf.constant(x), EPS)
    spec = margin_spec(tf.constant(labels), networks.CLASSES)
    findings = climbed(Ladder(wiring, Linf(), RUNGS), x, labels, EPS)
    for name in RUNGS:
        bound = catalogue.resolve("bound", name)
        least = bound(wiring.lower(), region, spec, arithmetic="sound").margins.numpy().min(axis=1)
        for f, expected in zip(findings, least, strict=True):
            if name in f:
                assert f[name].margin == pytest.approx(expected, abs=1e-5)


def test_the_order_is_the_callers_and_examples_do_not_depend_on_each_other(examples):
    wiring, x, labels = examples
    ladder = Ladder(wiring, Linf(), RUNGS[::-1])
    findings = climbed(ladder, x, labels, EPS)
    assert all(next(iter(f)) == "crown_ibp" for f in findings)
    alone = climbed(ladder, x[5:6], labels[5:6], EPS)[0]
    assert alone.keys() == findings[5].keys()
    for name, finding in alone.items():
        assert finding.margin == pytest.approx(findings[5][name].margin, abs=1e-5)


def test_eps_is_an_argument(examples):
    wiring, x, labels = examples
    ladder = Ladder(wiring, Linf(), ["interval"])
    margins = [
        [f["interval"].margin for f in climbed(ladder, x, labels, eps)] for eps in (0.0, 0.01, 0.1)
    ]
    assert (np.diff(margins, axis=0) < 0).all()
    assert all(margin > 0 for margin in margins[0])


def test_misclassified_examples_are_never_certified(examples):
    wiring, x, labels = examples
    findings = climbed(Ladder(wiring, Linf(), RUNGS), x, (labels + 1) % networks.CLASSES, 0.0)
    assert not any(finding.certified for f in findings for finding in f.values())


def test_no_examples_have_no_findings(examples):
    wiring, x, labels = examples
    assert climbed(Ladder(wiring, Linf(), RUNGS), x[:0], labels[:0], EPS) == []


def test_weights_are_read_when_climbing():
    model = networks.build("dense")
    wiring = networks.trace(model)
    x = networks.images(wiring.input_shape, 4)
    ladder = Ladder(wiring, Linf(), ["interval"])
    labels = model(x).numpy().argmax(axis=-1)
    before = [f["interval"].margin for f in climbed(ladder, x, labels, 0.0)]
    networks.randomize(model, seed=5)
    after = [f["interval"].margin for f in climbed(ladder, x, labels, 0.0)]
    assert not np.allclose(before, after)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), -float("inf")])
def test_only_positive_margins_are_certificates(margin):
    assert not Finding(margin, 0.0).certified
    assert Finding(1e-9, 0.0).certified


@pytest.mark.parametrize("value", [-0.3, 1.0001, np.nan, np.inf])
def test_images_outside_of_the_domain_are_refused(examples, value):
    wiring, x, labels = examples
    outside = np.array(x)
    outside.flat[-1] = value
    with pytest.raises(UserError, match=r"images: expected values within the domain \[0, 1\]"):
        climbed(Ladder(wiring, Linf(), RUNGS), outside, labels, EPS)


@pytest.mark.parametrize(
    "error", [tf.errors.ResourceExhaustedError(None, None, "OOM"), MemoryError()]
)
def test_a_rung_out_of_memory_leaves_its_examples_to_the_next(examples, monkeypatch, error):
    def exhausted(*arguments):
        raise error

    wiring, x, labels = examples
    expected = climbed(Ladder(wiring, Linf(), ["crown_ibp"]), x, labels, EPS)
    ladder = Ladder(wiring, Linf(), RUNGS)
    monkeypatch.setattr(ladder.rungs["interval"], "_compiled", exhausted)
    for f, alone in zip(climbed(ladder, x, labels, EPS), expected, strict=True):
        assert (f["interval"].cause, f["interval"].certified) == ("memory", False)
        assert f["crown_ibp"].cause is None
        assert f["crown_ibp"].margin == pytest.approx(alone["crown_ibp"].margin, abs=1e-6)


KINDS = {  # of the same images, labels and radius
    "float64": lambda x, y, eps: (x.astype(np.float64), y, eps),
    "tensors": lambda x, y, eps: (tf.constant(x), tf.constant(y), tf.constant(eps)),
    "lists": lambda x, y, eps: (x.tolist(), y.tolist(), eps),
    "small labels": lambda x, y, eps: (x, y.astype(np.uint8), eps),
    "NumPy's radius": lambda x, y, eps: (x, y, np.float64(eps)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_numpy_takes_is_answered_alike(examples, kind):
    wiring, x, labels = examples
    ladder = Ladder(wiring, Linf(), ["attack", "crown", "lp", "branch_and_bound"])
    expected = climbed(ladder, x[:4], labels[:4], 0.0625)
    findings = climbed(ladder, *KINDS[kind](x[:4], labels[:4], 0.0625))
    for before, after in zip(expected, findings, strict=True):
        assert {n: f.margin for n, f in before.items()} == {n: f.margin for n, f in after.items()}


WRONG = {
    "fewer labels": (lambda x, y, e: (x, y[:-1], e), "labels: expected a whole number for each of"),
    "one-hot": (lambda x, y, e: (x, np.eye(9)[y], e), "received float64 of shape"),
    "halves": (lambda x, y, e: (x, y + 0.5, e), "received float64 of shape"),
    "below 0": (lambda x, y, e: (x, y * 0 - 1, e), r"labels: expected 0 to \d; received -1"),
    "no class": (lambda x, y, e: (x, y * 0 + 99, e), r"labels: expected 0 to \d; received 99"),
    "one image": (lambda x, y, e: (x[0], y[:1], e), r"images: expected numbers of shape \[batch"),
    "flat": (lambda x, y, e: (x.reshape(len(x), -1), y, e), "images: expected numbers of shape"),
    "texts": (lambda x, y, e: (x.astype(str), y, e), "images: expected numbers of shape"),
    "negative": (lambda x, y, e: (x, y, -0.1), "eps: expected a finite number of at least 0"),
    "infinite": (lambda x, y, e: (x, y, np.inf), "eps: expected a finite number of at least 0"),
    "nan": (lambda x, y, e: (x, y, np.nan), "eps: expected a finite number of at least 0"),
    "a text": (lambda x, y, e: (x, y, "0.1"), "eps: expected a finite number of at least 0"),
    "several": (lambda x, y, e: (x, y, np.full(len(y), e)), "eps: expected a finite number of"),
    "none": (lambda x, y, e: (x, y, None), "eps: expected a finite number of at least 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_question_is_refused_in_a_line(examples, case):
    wiring, x, labels = examples
    change, words = WRONG[case]
    ladder = Ladder(wiring, Linf(), ["attack", "interval", "branch_and_bound"])
    with pytest.raises(UserError, match=words):
        climbed(ladder, *change(x, labels, EPS))


def test_a_scale_of_another_shape_is_refused(examples):
    wiring, x, labels = examples
    shape = wiring.input_shape
    for other in ((1,), shape[-1:], (1, *shape), (*shape, 1), (int(np.prod(shape)),)):
        with pytest.raises(UserError, match="scale: expected a number for each feature of inputs"):
            climbed(Ladder(wiring, Linf(np.ones(other)), RUNGS), x, labels, EPS)
    climbed(Ladder(wiring, Linf(np.ones(shape)), RUNGS), x, labels, EPS)


def test_tf32_is_refused_at_the_start_and_later(examples):
    wiring, x, labels = examples
    ladder = Ladder(wiring, Linf(), RUNGS)
    tf.config.experimental.enable_tensor_float_32_execution(True)
    with pytest.raises(UserError, match=r"TF32 is on; call .*\(False\)") as caught:
        Ladder(wiring, Linf(), RUNGS)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="TF32 is on"):
        climbed(ladder, x, labels, EPS)


def test_unknown_rungs_are_refused(examples):
    with pytest.raises(UserError, match="bound: expected one of interval, .*received 'milp9'"):
        Ladder(examples[0], Linf(), ["milp9"])


def half(policy: str) -> keras.Model:
    """A network of dense layers under a policy."""
    keras.utils.set_random_seed(0)
    hidden, last = L.Dense(8, "relu", dtype=policy), L.Dense(3, dtype=policy)
    return keras.Sequential([L.Input((4,)), hidden, last])


def coarse_input(name: str) -> keras.Model:
    """Layers in float32 behind an input that is turned into another type."""
    return keras.Sequential([L.Input((4,), dtype=name), L.Rescaling(1.0), L.Dense(3)])


COARSE = {
    "mixed_bfloat16": lambda: half("mixed_bfloat16"),
    "mixed_float16": lambda: half("mixed_float16"),
    "float64": lambda: half("float64"),
    "float16 input": lambda: coarse_input("float16"),
    "uint8 input": lambda: coarse_input("uint8"),
}


@pytest.mark.parametrize("case", COARSE)
def test_what_is_not_in_float32_is_certified_by_nothing(case):
    wiring, message = trace(COARSE[case]()), "network: expected one that computes in float32"
    for rung in set(catalogue.rungs()) - {"attack"}:
        with pytest.raises(UserError, match=message) as caught:
            Ladder(wiring, Linf(), [rung])
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=message):
        RadiusSearch(wiring, Linf(), ["interval"], 0.1)
    with pytest.raises(UserError, match=message):
        network_arrays(COARSE[case]())


def test_what_is_not_in_float32_is_attacked():
    ladder = Ladder(trace(half("mixed_bfloat16")), Linf(), ["attack"])
    x = np.full((2, 4), 0.5, np.float32)
    labels = ladder.wiring.lower()(tf.constant(x)).numpy().argmax(axis=1)
    findings = climbed(ladder, x, labels, 0.5)
    assert any(by_rung["attack"].falsified for by_rung in findings)
