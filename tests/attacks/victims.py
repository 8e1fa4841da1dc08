"""A network's task, and the success of each attack on it: compiled once for all tests."""

import functools

import networks
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.blackbox.square import square
from rt_tf.attacks.gradient.apgd import apgd, apgd_t
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.minimal.fab import fab_t
from rt_tf.attacks.starts import uniform, zero
from rt_tf.attacks.task import Task
from rt_tf.threats.region import Region

RADII = {"linf": 0.08, "l2": 0.4, "l1": 1.2}  # at which half of the images withstand
COUNT = 30
ATTACKS = {
    "pgd": (functools.partial(pgd, steps=12, early_stop=True), uniform),
    "apgd": (functools.partial(apgd, steps=12), uniform),
    "apgd_t": (functools.partial(apgd_t, steps=12), uniform),
    "fab_t": (functools.partial(fab_t, steps=12), zero),
    "square": (functools.partial(square, steps=100), zero),
}
ENSEMBLE = [name for name in ATTACKS if name != "pgd"]


@functools.cache
def task(name, eps=None):
    """Images that the network gets right."""
    _, wiring = networks.known("conv_same")
    x = tf.constant(networks.images(wiring.input_shape, COUNT))
    region = Region(catalogue.resolve("threat", name)(), x, eps or RADII[name])
    keys = noise.keys(tf.constant([3, 4], tf.int64), tf.range(COUNT))
    graph = wiring.lower()
    return Task(graph, region, tf.argmax(graph(x), -1), keys)


def points(attack, some):
    """The points to which an attack leads from its start."""
    run, start = ATTACKS[attack]
    return run(some, start(some))


@functools.cache
def compiled(name, attack):
    """points, as a function of the rows attacked."""
    whole, rows = task(name), tf.TensorSpec([None], tf.int32)
    return tf.function(lambda rows: points(attack, whole.take(rows)), [rows], autograph=False)


def successes(name, attack):
    """The examples on which an attack succeeds; all of its points are in the region."""
    whole, x = task(name), compiled(name, attack)(tf.range(COUNT))
    assert whole.region.inside(x).numpy().all()
    return whole.errs(whole.logits(x)).numpy()
