"""The properties of attacks in the catalogue's table, against their behaviour."""

import linear
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import losses, starts

ALONE = [name for name, entry in catalogue.ATTACKS.items() if not entry.cascade]
OURS = [name for name in ALONE if not catalogue.ATTACKS[name].eager]
READS_BOUNDS = ("interval",)  # they want a graph, on which gradients are not looked at here


def run(name: str, **changes) -> tf.Tensor:  # type: ignore[no-untyped-def]
    """A few steps towards the other side of a hyperplane, on the attack's first threat."""
    threat = (catalogue.ATTACKS[name].threats or ("linf",))[0]
    task = linear.task(threat, eps=0.5 if threat == "union" else None, **changes)
    return catalogue.resolve("attack", name)(task, starts.uniform(task), steps=2)


@pytest.mark.parametrize("name", [name for name in ALONE if name not in READS_BOUNDS])
def test_a_black_box_is_one_whose_gradients_are_not_taken(name):
    taken = []

    @tf.custom_gradient
    def watched(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = linear.network(x)

        def gradient(upstream):
            taken.append(name)
            return tape.gradient(logits, x, upstream)

        return logits, gradient

    run(name, network=watched)
    assert catalogue.ATTACKS[name].black_box == (not taken)


@pytest.mark.parametrize("name", [name for name in OURS if name not in READS_BOUNDS])
def test_an_attack_that_climbs_looks_at_the_loss_asked_for(name):
    looked = []

    def loss(*arguments):
        looked.append(name)
        return losses.margin(*arguments)

    run(name, loss=loss)
    assert catalogue.ATTACKS[name].climbs == bool(looked)


def test_attacks_of_others_run_outside_of_compiled_code_and_climb_their_own_losses():
    entries = catalogue.ATTACKS.values()
    foolbox = {entry.path for entry in entries if ".foolbox." in entry.path}
    assert foolbox == {entry.path for entry in entries if entry.eager}
    assert not any(entry.climbs for entry in entries if entry.eager)
