"""The findings of the solver's rungs, against the oracle's minima of the network."""

import functools

import highspy
import keras
import networks
import numpy as np
import pytest
from oracles.matrices import read
from oracles.relaxed import Relaxation, ends_of
from solving import LONG, RADII, from_proof, reader_of

from rt_tf.certification.rung import Finding, Query
from rt_tf.certification.rungs import programs
from rt_tf.certification.solver import examples
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf

KINDS = ["lp", "milp_last", "milp_conv", "milp"]
USED = [*RADII, "conv_4x4"]


@functools.cache
def query_of(name: str, eps: float, count: int = 5) -> tuple[Wiring, Query]:
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape, count)
    labels = model(x).numpy().argmax(axis=-1)
    return wiring, Query(x, labels, eps, [None] * count)


@functools.cache
def findings(kind: str, name: str, eps: float) -> list[Finding]:
    wiring, query = query_of(name, eps)
    return list(getattr(programs, kind)(wiring, Linf(), time_limit=LONG)(query))


@functools.cache
def exact_margins(name: str, eps: float) -> list[float]:
    """Least margins of the network, by the oracle."""
    reader, query, least = reader_of(name), query_of(name, eps)[1], []
    network = read(reader.graph, reader.wiring.input_shape)
    for image, label in zip(query.images, query.labels, strict=True):
        example = reader.read(image, int(label), eps)
        oracle = Relaxation(network, ends_of(example.region, example.enclosure.boxes)[0])
        rows = [example.row(k) for k in range(len(example.others))]
        least.append(min(oracle.exact(row).value for row in rows))
    return least


QUESTIONS = [("conv_strided", 0.06), ("residual", 0.02)]
rungs = pytest.mark.usefixtures("shared_readers")


@pytest.fixture
def shared_readers(monkeypatch):
    """Rungs of one network share their tracing, which takes longest."""

    def shared(wiring, threat, rung, memory):
        return reader_of(next(name for name in USED if networks.known(name)[1] is wiring))

    monkeypatch.setattr(programs, "Reader", shared)


questions = pytest.mark.parametrize(("name", "eps"), QUESTIONS)


@questions
@rungs
def test_the_whole_network_is_decided(name, eps):
    least, results = exact_margins(name, eps), findings("milp", name, eps)
    assert min(least) < 0.0 < max(least)
    for margin, finding in zip(least, results, strict=True):
        assert abs(margin) > 1e-3
        assert finding.certified == (margin > 0.0)
        assert finding.falsified == (margin < 0.0)
        assert finding.seconds > 0.0


@rungs
@questions
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_certified_is_true_and_what_errs_errs(kind, name, eps):
    model = networks.known(name)[0]
    query, least = query_of(name, eps)[1], exact_margins(name, eps)
    for k, finding in enumerate(findings(kind, name, eps)):
        assert finding.cause is None
        assert finding.margin <= least[k] + 1e-5 or finding.falsified
        if finding.falsified:
            moved = np.abs(finding.point.astype(np.float64) - query.images[k])
            assert moved.max() <= eps
            assert finding.point.min() >= 0.0
            assert finding.point.max() <= 1.0
            assert model(finding.point[np.newaxis]).numpy().argmax() != query.labels[k]


@rungs
@questions
def test_more_binaries_certify_no_less(name, eps):
    certified = {kind: [f.certified for f in findings(kind, name, eps)] for kind in KINDS}
    for kind in ("milp_last", "milp_conv"):
        assert (np.array(certified["lp"]) <= certified[kind]).all()
        assert (np.array(certified[kind]) <= certified["milp"]).all()


@rungs
@pytest.mark.parametrize("name", ["conv_4x4", "residual"])
def test_confirmed_certificates_need_nobodys_word(name):
    """At radii where CROWN just fails."""
    wiring, query = query_of(name, 0.0)
    reader, rung, trees = reader_of(name), programs.lp(wiring, Linf()), 0
    for k, (image, label) in enumerate(zip(query.images, query.labels, strict=True)):
        eps = _just_open(name, k)
        (finding,) = rung(Query(image[np.newaxis], np.array([label]), eps, [None]))
        if finding.proof is None:
            assert finding.trusted or not finding.certified
            continue
        example = reader.read(image, int(label), eps)
        by_rule = ~np.isin(example.others, list(finding.proof.trees))
        margins = from_proof(reader, example, finding.proof)
        assert example.margins.min() <= 0.0 < min(*margins, *example.margins[by_rule])
        assert finding.certified
        assert not finding.trusted
        trees += len(margins)
    assert trees


@functools.cache
def _just_open(name: str, k: int) -> float:
    """A radius where CROWN fails, not 1e-3 above one where it does not."""
    reader, query = reader_of(name), query_of(name, 0.0)[1]
    image, label = query.images[k], int(query.labels[k])
    closed, open_ = 0.0, 0.5
    while open_ - closed > 1e-3:
        middle = (closed + open_) / 2
        proved = reader.read(image, label, middle).margins.min() > 0.0
        closed, open_ = (middle, open_) if proved else (closed, middle)
    return open_


@rungs
def test_a_point_that_errs_already_settles_it():
    wiring, query = query_of(*QUESTIONS[0])
    results = findings("milp", *QUESTIONS[0])
    (k, *_) = [i for i, finding in enumerate(results) if finding.falsified]
    again = query._replace(
        images=query.images[k : k + 1],
        labels=query.labels[k : k + 1],
        points=[results[k].point],
    )
    (finding,) = programs.lp(wiring, Linf(), time_limit=0.0)(again)
    assert finding.falsified
    np.testing.assert_array_equal(finding.point, results[k].point)


@rungs
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_no_certificate(kind, monkeypatch):
    wiring, query = query_of("residual", _just_open("residual", 0), 1)
    rung = getattr(programs, kind)
    (late,) = rung(wiring, Linf(), time_limit=0.0)(query)
    assert (late.margin, late.cause, late.certified) == (-np.inf, "time", False)
    with monkeypatch.context() as patched:
        patched.setattr(examples, "MOST_ENTRIES", 10)
        (large,) = rung(wiring, Linf())(query)
    assert (large.margin, large.cause, large.certified) == (-np.inf, "memory", False)
    failed = highspy.HighsModelStatus.kSolveError
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda highs: failed)
    (lost,) = rung(wiring, Linf())(query)
    assert (lost.margin, lost.cause, lost.certified) == (-np.inf, "error", False)


@rungs
@pytest.mark.parametrize("kind", KINDS)
def test_what_crown_proves_needs_no_solver(kind):
    wiring, query = query_of("conv_4x4", 0.001, 1)
    (finding,) = getattr(programs, kind)(wiring, Linf(), time_limit=0.0)(query)
    expected = reader_of("conv_4x4").read(query.images[0], int(query.labels[0]), 0.001)
    assert finding.margin == expected.margins.min() > 0.0
    assert not finding.trusted
    assert finding.proof.trees == {}


def test_what_overflows_is_no_certificate():
    """Of bounds that are not numbers no unit looks unstable."""
    layers = keras.layers
    model = networks.chain(layers.Flatten(), layers.Dense(3, "relu"), layers.Dense(3, "relu"))
    wiring = trace(networks.randomize(model))
    for layer in model.layers[1:3]:
        layer.kernel.assign(layer.kernel * 1e25)
    query, rung = query_of("dense", 0.1, 1)[1], programs.lp(wiring, Linf())
    for label in range(networks.CLASSES):
        again = query._replace(labels=np.array([label]))
        (finding,) = rung(again)
        assert (finding.margin, finding.cause, finding.certified) == (-np.inf, "error", False)


def test_what_has_no_program_is_refused():
    layers = keras.layers
    curved = networks.chain(layers.Flatten(), layers.Dense(3, "sigmoid", name="bend"))
    with pytest.raises(UserError, match="lp: expected piecewise-linear .* sigmoid in layer 'bend'"):
        programs.lp(trace(curved), Linf())
    bent = networks.chain(layers.Flatten(), layers.Dense(3), layers.ReLU(6.0, name="cap"))
    with pytest.raises(UserError, match="milp: expected .* another in layer 'cap'"):
        programs.milp(trace(bent), Linf())
    with pytest.raises(UserError, match="milp_last: expected the linf threat; received 'l2'"):
        programs.milp_last(networks.known("dense")[1], L2())
    with pytest.raises(UserError, match="milp_conv: expected a network with an activation after"):
        programs.milp_conv(networks.known("dense")[1], Linf())
