"""Every bound method on every network and threat: sound, and exact where it should be.

A new method, network or threat is covered by its row in `catalogue` or `networks`.
"""

import dataclasses
import functools

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.starts import uniform, zero
from rt_tf.attacks.task import Task
from rt_tf.bounds import zonotope
from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.bounds.rounding import ARITHMETICS
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

EPS = {"linf": 0.1, "l2": 0.4, "l1": 1.0, "union": 0.25}
# Fewer steps and draws than the defaults: the properties do not depend on them.
OPTIONS = {
    "alpha_crown": {"steps": 2},
    "shared_slope": {"steps": 2},
    "cauchy": {"projections": 20},
}
METHODS = catalogue.certifying_bounds()
# A little rounding leads these somewhere else: linear relaxations are not monotone.
SENSITIVE = ["alpha_crown", "shared_slope", "probable"]
UNANSWERED = {  # ("probable", "l1"): there is no random projection for the largest coefficient
    (name, threat)
    for name in METHODS
    for threat in EPS
    if threat not in (catalogue.BOUNDS[name].threats or catalogue.THREATS)
}
SOME = ["batch_norm", "branches"]
OF_ALL_KINDS = ["dense", "conv_strided", "batch_norm_shared", "branches", "max_pool", "nested"]
# Rounding grows in these from layer to layer, where the network's own does.
ROUGHER = {"zonotope": 50.0, "crown_ibp": 5.0}
STATIC = [(name, t) for name, entry in catalogue.BOUNDS.items() for t in entry.static]
CORE = ["interval", "crown_ibp", "crown"]
ALWAYS = [*CORE, "zonotope"]


def crossed(methods, always=CORE):
    """Every network with every method; by default, a few methods and now and then another.

    Long rows, of which there are many, have the four of ALWAYS and another one in turn.
    """
    others = [method for method in methods if method not in always]
    return pytest.mark.parametrize(
        ("name", "method"),
        [
            pytest.param(name, method, marks=[] if quick else pytest.mark.slow)
            for i, name in enumerate(networks.NETWORKS)
            for method in methods
            if name not in networks.LONG
            or method in ALWAYS
            or (name not in networks.DEEP and method == others[i % len(others)])
            for quick in [
                name not in networks.LONG
                and (method in always or (i % 2 == 0 and method == others[i // 2 % len(others)]))
            ]
        ],
    )


cases = pytest.mark.parametrize("name", networks.EVERY)
methods = pytest.mark.parametrize("method", METHODS)
core = pytest.mark.parametrize("method", networks.mostly_slow(METHODS, CORE))
some = pytest.mark.parametrize("name", networks.mostly_slow(SOME, SOME[:1]))
arithmetics = pytest.mark.parametrize(
    "arithmetic", networks.mostly_slow(list(ARITHMETICS), ["sound"])
)
norms = pytest.mark.parametrize("threat", ["linf", "l2", "l1"])
others = pytest.mark.parametrize("threat", [name for name in EPS if name != "linf"])
balls = pytest.mark.parametrize("threat", ["l2", "l1"])


@dataclasses.dataclass(frozen=True)
class Question:
    """A network, three examples, and the margins of their labels."""

    name: str
    threat: str = "linf"

    def __post_init__(self):
        model, wiring = networks.known(self.name)
        x = tf.constant(networks.images(wiring.input_shape))
        labels = tf.argmax(model(x), axis=-1)
        labels = tf.concat([labels[:-1], (labels[-1:] + 1) % networks.CLASSES], axis=0)
        for field, value in {
            "model": model,
            "graph": wiring.lower(),
            "region": region_of(self.threat, x, radius(self.threat, self.name)),
            "spec": margin_spec(labels, networks.CLASSES),
        }.items():
            object.__setattr__(self, field, value)

    def served(self, x):
        """Margins of the Keras model's own logits, exact differences: [..., batch, spec]."""
        flat = tf.reshape(x, [-1, *self.region.x.shape[1:]])
        logits = self.model(flat, training=False).numpy().astype(np.float64)
        logits = logits.reshape(-1, len(self.region.x), networks.CLASSES)
        return np.einsum("bsc,nbc->nbs", self.spec.numpy().astype(np.float64), logits)

    @functools.cached_property
    def scale(self):
        return max(1.0, float(np.abs(self.served(self.region.x)).max()))


def radius(threat, name):
    """The radius of a network's regions: smaller where products of many values grow."""
    return EPS[threat] * (0.02 if name in networks.DEEP else 1.0)


def region_of(threat, x, eps=None):
    threat_of_name = catalogue.threat(threat)
    return Region(threat_of_name, x, EPS[threat] if eps is None else eps)


def bound_of(method):
    return functools.partial(catalogue.resolve("bound", method), **OPTIONS.get(method, {}))


@functools.cache
def question(name, threat="linf"):
    return Question(name, threat)


@functools.cache
def margins(name, method, arithmetic, threat="linf"):
    if (method, threat) in UNANSWERED:
        pytest.skip(f"{method} has no answer to {threat}")
    q = question(name, threat)
    return bound_of(method)(q.graph, q.region, q.spec, arithmetic=arithmetic).margins.numpy()


def slack(arithmetic, scale):
    """The most that sampled margins may be below the bound: nothing in sound arithmetic."""
    return 0.0 if arithmetic == "sound" else 1e-5 * scale


@functools.cache
def sampled_minimum(name, threat="linf"):
    """The least margins over corners, uniform points and points that ascend against each margin."""
    q = question(name, threat)
    region = q.region.inward()
    lower, upper = (end.numpy() for end in region.box())
    share = np.random.default_rng(3).random((200, *lower.shape), np.float32)
    share[:100] = share[:100] > 0.5
    points = np.concatenate([lower + share * (upper - lower), attacked(q)])
    flat = tf.constant(points.reshape(len(points) * len(lower), *lower.shape[1:]))
    rows = tf.tile(tf.range(len(lower)), [len(points)])
    flat = region.take(rows).project(flat)
    assert q.region.take(rows).inside(flat).numpy().all()
    return q.served(tf.reshape(flat, points.shape)).min(axis=0)


def attacked(q):
    """PGD against each margin by itself, from the middle and from a random start."""
    rows = q.spec.shape[1]
    x = tf.repeat(q.region.x, rows, axis=0)
    spec = tf.reshape(q.spec, [-1, networks.CLASSES])
    region = dataclasses.replace(q.region, x=x)

    def margin(z):
        return tf.reduce_sum(spec * q.graph(z), axis=1, keepdims=True)

    keys = noise.keys(tf.constant([1, 2]), tf.range(len(x)))
    labels = tf.zeros(len(x), tf.int64)
    task = Task(margin, region, labels, keys, loss=lambda margins, *_: -margins[:, 0])
    points = [pgd(task, start(task), steps=4, step_size=0.5) for start in (zero, uniform)]
    points = [tf.reshape(z, [len(q.region.x), rows, *x.shape[1:]]) for z in points]
    return np.concatenate([np.swapaxes(z.numpy(), 0, 1) for z in points])


@crossed(METHODS)
@arithmetics
def test_no_point_falls_below_the_bound(name, method, arithmetic):
    bound = margins(name, method, arithmetic)
    assert np.isfinite(bound).all()
    assert (sampled_minimum(name) >= bound - slack(arithmetic, question(name).scale)).all()


@pytest.mark.parametrize("name", networks.mostly_slow(OF_ALL_KINDS, OF_ALL_KINDS[1::2]))
@core
@others
def test_no_point_of_other_regions_falls_below_the_bound(name, method, threat):
    q = question(name, threat)
    for arithmetic in ARITHMETICS:
        bound = margins(name, method, arithmetic, threat)
        assert np.isfinite(bound).all()
        assert (sampled_minimum(name, threat) >= bound - slack(arithmetic, q.scale)).all()


@pytest.mark.parametrize("name", ["dense", "conv_strided"])
@methods
@balls
def test_balls_are_not_turned_into_boxes(name, method, threat):
    """Before the first activation the region's own support function counts."""
    q = question(name, threat)
    bounds = margins(name, method, "fast", threat)
    box = dataclasses.replace(q.region, threat=Linf())
    gain = bounds - bound_of(method)(q.graph, box, q.spec).margins.numpy()
    assert (gain >= -1e-5).all()
    assert gain.mean() > 0.1


@crossed([method for method in METHODS if method not in SENSITIVE])
def test_sound_bounds_are_below_fast_ones_but_not_far(name, method):
    fast = margins(name, method, "fast")
    gap = fast - margins(name, method, "sound")
    assert (gap >= 0.0).all()
    summed = np.abs(margins(name, "interval", "fast")).max()  # the size of what rounds
    rough = ROUGHER.get(method, 1.0) if name in networks.ROUGH else 1.0
    assert (gap <= 5e-3 * rough * max(question(name).scale, summed)).all()


@crossed(METHODS, always=[])
@arithmetics
def test_a_point_has_its_own_margins(name, method, arithmetic):
    q = question(name)
    region = dataclasses.replace(q.region, eps=0.0)
    bounds = bound_of(method)(q.graph, region, q.spec, arithmetic=arithmetic).margins.numpy()
    truth = q.served(region.x)[0]
    sound = 2e-2
    if method == "zonotope":  # its rounding grows as intervals do, from layer to layer
        sound = 0.2
    tolerance = {"fast": 2e-5, "sound": sound}[arithmetic] * q.scale
    tolerance *= 100.0 if name in networks.ROUGH else 1.0
    np.testing.assert_allclose(bounds, truth, rtol=0.0, atol=tolerance)
    assert (bounds <= truth + slack(arithmetic, q.scale)).all()


@pytest.mark.parametrize(("method", "threat"), sorted(UNANSWERED))
def test_what_has_no_answer_says_so(method, threat):
    q = question("dense", threat)
    with pytest.raises(UserError, match="expected the threat linf or l2; received l1"):
        bound_of(method)(q.graph, q.region, q.spec)


@pytest.mark.parametrize("name", networks.AFFINE)
@methods
@norms
def test_affine_networks_are_bounded_exactly(name, method, threat):
    """The minimum of w . x + b over the box or, if larger, over the ball: here in float64."""
    q = question(name, threat)
    shape = q.region.x.shape[1:]
    basis = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    logits = q.model(np.concatenate([np.zeros((1, *shape), np.float32), basis])).numpy()
    logits = logits.astype(np.float64)
    weights = np.einsum("bsc,nc->bsn", q.spec.numpy(), logits[1:] - logits[0])
    bias = np.einsum("bsc,c->bs", q.spec.numpy(), logits[0])
    x = q.region.x.numpy().astype(np.float64).reshape(len(q.region.x), -1)
    eps = EPS[threat]
    lower, upper = np.maximum(x - eps, 0.0), np.minimum(x + eps, 1.0)
    exact = bias + np.einsum("bsn,bn->bs", weights, (lower + upper) / 2)
    exact -= np.einsum("bsn,bn->bs", np.abs(weights), (upper - lower) / 2)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[threat]
    ball = np.einsum("bsn,bn->bs", weights, x) - eps * np.linalg.norm(weights, dual, axis=-1)
    bounds = margins(name, method, "fast", threat)
    np.testing.assert_allclose(bounds, np.maximum(exact, bias + ball), rtol=0, atol=1e-5 * q.scale)


@cases
def test_interval_bounds_shrink_as_eps_grows(name):
    q = question(name)
    radii = tf.constant([0.0, 0.003, 0.02, 0.1, 0.3, 1.0])
    x, spec = (tf.repeat(value[:1], len(radii), axis=0) for value in (q.region.x, q.spec))
    region = Region(Linf(), x, radii)
    bound = catalogue.resolve("bound", "interval")
    margins = bound(q.graph, region, spec).margins.numpy()
    assert (np.diff(margins, axis=0) <= 1e-5 * np.abs(margins).max()).all()


@cases
def test_parallel_lines_backward_are_zonotopes_forward(name):
    """With the same pre-activation bounds both directions give the same numbers."""
    q = question(name)
    start = zonotope.zonotope_of_region(q.region)
    forward, enclosure = zonotope.enclose(q.graph, start, Box(*q.region.box()))
    backward = lower_bound(q.graph, q.region, q.spec, enclosure, slope="parallel").numpy()
    scale = max(q.scale, np.abs(backward).max())
    np.testing.assert_allclose(backward, forward.margins(q.spec), rtol=0.0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", OF_ALL_KINDS)
@norms
def test_the_dual_network_is_the_zonotope(name, threat):
    """Bounds of every layer included, which both take from themselves."""
    bounds, expected = (margins(name, m, "fast", threat) for m in ("dual", "zonotope"))
    np.testing.assert_allclose(bounds, expected, rtol=0.0, atol=1e-5 * max(1, np.abs(bounds).max()))


@some
@core
@arithmetics
def test_graph_mode_each_example_by_itself_and_eps_by_example(name, method, arithmetic):
    q = question(name)
    expected = margins(name, method, arithmetic)
    bound = functools.partial(bound_of(method), arithmetic=arithmetic)
    count = len(q.region.x)

    @tf.function
    def compiled(x, spec, eps):
        return bound(q.graph, Region(Linf(), x, eps), spec).margins

    eps = tf.fill([count], EPS["linf"])
    tolerance = 1e-5 * q.scale
    whole = compiled(q.region.x, q.spec, eps).numpy()
    np.testing.assert_allclose(whole, expected, rtol=0.0, atol=tolerance)
    mixed = compiled(q.region.x, q.spec, tf.constant([0.0, EPS["linf"], 0.3])).numpy()
    np.testing.assert_allclose(mixed[1], expected[1], rtol=0.0, atol=tolerance)
    region = Region(Linf(), q.region.x[2:], EPS["linf"])
    alone = bound(q.graph, region, q.spec[2:]).margins.numpy()
    np.testing.assert_allclose(alone[0], expected[2], rtol=0.0, atol=tolerance)


@core
def test_a_broken_example_does_not_spoil_its_neighbours(method):
    q = question("branches")
    x = q.region.x.numpy().copy()
    x[1, 0, 0, 0] = np.nan

    @tf.function(autograph=False)  # where a region cannot refuse it
    def bounded(x):
        region = dataclasses.replace(q.region, x=x)
        return bound_of(method)(q.graph, region, q.spec, arithmetic="sound").margins

    bounds = bounded(tf.constant(x)).numpy()
    expected = margins("branches", method, "sound")
    assert (bounds[1] == -np.inf).all()
    np.testing.assert_allclose(bounds[[0, 2]], expected[[0, 2]], rtol=0.0, atol=1e-5 * q.scale)


@methods
@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf")])
def test_radii_without_a_region_certify_nothing(method, eps):
    q = question("dense")
    region = dataclasses.replace(q.region, eps=eps)
    bounds = bound_of(method)(q.graph, region, q.spec, arithmetic="sound").margins.numpy()
    assert not (bounds > 0.0).any()


@some
@pytest.mark.parametrize(
    ("method", "threat"),
    [pytest.param(*case, marks=[] if case[0] in CORE else pytest.mark.slow) for case in STATIC],
)
def test_xla_computes_the_same(name, method, threat):
    q = question(name)

    def least(x):
        bounds = bound_of(method)(q.graph, region_of(threat, x), q.spec)
        return bounds.margins, bounds.margins if bounds.loss is None else bounds.loss

    compiled = tf.function(least, jit_compile=True, autograph=False)(q.region.x)
    for bounds, expected in zip(compiled, least(q.region.x), strict=True):
        np.testing.assert_allclose(bounds, expected, rtol=0.0, atol=1e-4 * q.scale)


def training(name, method):
    """A network, and the gradients of a random function of its margins in all its weights."""
    model = networks.build(name, seed=4)
    wiring = trace(model)
    x = tf.constant(networks.images(wiring.input_shape, 4))
    spec = margin_spec(tf.constant([0, 1, 2, 0]), networks.CLASSES)

    def gradients():
        with tf.GradientTape() as tape:
            _, statistics = wiring.forward(x, training=True)
            region = region_of("linf", x, radius("linf", name))
            bounds = bound_of(method)(wiring.lower(statistics), region, spec)
            values = bounds.margins if bounds.loss is None else bounds.loss
            loss = tf.reduce_sum(values * tf.random.stateless_uniform(values.shape, [1, 1]))
        return tape.gradient(loss, model.trainable_variables)

    return model, wiring, gradients


@crossed(list(catalogue.BOUNDS), always=["crown_ibp"])
def test_gradients_are_finite_and_reach_every_weight(name, method):
    model, wiring, gradients = training(name, method)
    for weight, gradient in zip(model.trainable_variables, gradients(), strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        # A batch's mean takes away every bias before batch normalisation.
        if not (wiring.has_statistics and weight.name == "bias"):
            assert np.abs(gradient).max() > 0.0, weight.path


@pytest.mark.parametrize(
    ("name", "method"),
    [("conv_strided", "crown_ibp"), ("conv_strided", "dual")]
    + [pytest.param(name, method, marks=pytest.mark.slow) for name in SOME for method in METHODS],
)
def test_compiled_gradients_are_those_of_eager_mode(name, method):
    *_, gradients = training(name, method)
    compiled = tf.function(gradients, autograph=False)()
    expected = gradients()
    largest = max(float(tf.reduce_max(tf.abs(gradient))) for gradient in expected)
    for actual, gradient in zip(compiled, expected, strict=True):
        tolerance = 1e-3 * float(tf.reduce_max(tf.abs(gradient))) + 1e-5 * largest
        np.testing.assert_allclose(actual, gradient, rtol=0.0, atol=tolerance)
