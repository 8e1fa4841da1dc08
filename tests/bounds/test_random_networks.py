"""Random directed acyclic networks: bounds contain what the network computes."""

import keras
import networks
import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rt_tf import catalogue
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers
# Layers from an image to one of the same shape: any value can be read by any later step.
STEPS = {
    "conv": lambda x, _: L.Conv2D(2, 3, padding="same")(x),
    "dense": lambda x, _: L.Dense(2)(x),
    "relu": lambda x, _: L.ReLU()(x),
    "conv_relu": lambda x, _: L.Conv2D(2, 2, padding="same", activation="relu")(x),
    "normalize": lambda x, _: L.BatchNormalization()(x),
    "average": lambda x, _: L.AveragePooling2D(2, 1, padding="same")(x),
    "maximum": lambda x, _: L.MaxPooling2D(2, 1)(L.ZeroPadding2D(((1, 0), (0, 1)))(x)),
    "add": lambda x, y: L.Add()([x, y]),
}
CORE = ["interval", "crown_ibp", "crown", "zonotope"]
step = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99), st.integers(0, 99))


def wire(steps):
    values = [keras.Input((3, 3, 2))]
    for kind, first, second in steps:
        values.append(STEPS[kind](values[first % len(values)], values[second % len(values)]))
    return keras.Model(values[0], L.Dense(3)(L.Flatten()(L.Add()([values[-1], values[-2]]))))


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(step, min_size=2, max_size=7),
    seed=st.integers(0, 1000),
    eps=st.sampled_from([0.0, 8 / 255, 0.3]),
)
def test_random_networks_stay_within_their_bounds(steps, seed, eps):
    model = networks.randomize(wire(steps), seed)
    graph = trace(model).lower()
    x = tf.constant(networks.images((3, 3, 2), 2, seed))
    region = Region(Linf(), x, eps)
    lower, upper = (end.numpy() for end in region.inward().box())
    share = np.random.default_rng(seed).random((100, *lower.shape))
    share[:50] = share[:50] > 0.5
    points = np.clip((lower + share * (upper - lower)).astype(np.float32), lower, upper)
    flat = tf.constant(points.reshape(-1, 3, 3, 2))
    logits = model(flat).numpy().astype(np.float64).reshape(100, 2, 3)
    spec = margin_spec(tf.constant([0, 2]), 3)
    served = np.einsum("bsc,nbc->nbs", spec.numpy(), logits).min(axis=0)
    others = [method for method in catalogue.certifying_bounds() if method not in CORE]
    for method in [*CORE, others[seed % len(others)]]:
        bound = catalogue.resolve("bound", method)
        assert (served >= bound(graph, region, spec, arithmetic="sound").margins.numpy()).all()
        fast = bound(graph, region, spec).margins.numpy()
        assert (served >= fast - 1e-5 * max(1.0, np.abs(logits).max())).all()
    box = enclose(graph, Box(*region.outward().box()), "sound").boxes[graph.output]
    assert (logits >= box.lower.numpy()).all()
    assert (logits <= box.upper.numpy()).all()
