"""The average of a network's weights against its formula."""

import keras
import numpy as np
import pytest
import small
import tensorflow as tf

from rt_tf.threats.linf import Linf
from rt_tf.training.loop.average import Average
from rt_tf.training.objectives.objective import Objective


@pytest.mark.parametrize("decay", [0.25, 0.99])  # one that holds at once, one that is grown into
def test_the_average_is_that_of_its_formula(decay: float) -> None:
    trained = small.network(batch_norm=True)
    average = Average(small.network(batch_norm=True, seed=1), decay)
    average.begin(trained)
    update = tf.function(lambda: average.update(trained))
    draw = np.random.default_rng(0)
    expected = [weight.astype(np.float64) for weight in trained.get_weights()]
    for step in range(12):
        trained.set_weights([draw.random(weight.shape) for weight in expected])
        update()
        d = min(decay, (1 + step) / (10 + step))
        pairs = zip(expected, trained.get_weights(), strict=True)
        expected = [d * mean + (1 - d) * weight for mean, weight in pairs]
    assert len(expected) == 10  # the moving statistics of batch normalisation among them
    for mean, wanted in zip(average.network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mean, wanted, rtol=1e-5)


def test_weights_that_stand_still_are_their_own_average() -> None:
    trained = small.network()
    average = Average(small.network(seed=1), 0.999)
    average.begin(trained)
    for _ in range(3):
        average.update(trained)
    for mean, weight in zip(average.network.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(mean, weight)


def test_keras_averages_the_weights_in_fit() -> None:
    model = small.compiled(Objective(Linf()), small.network(batch_norm=True), eps=0.1)
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer, objective=Objective(Linf()))
    weights = []

    def write(batch: int, logs: object) -> None:
        weights.append([weight.numpy() for weight in model.network.trainable_variables])

    written = keras.callbacks.LambdaCallback(on_train_batch_end=write)
    swapped = keras.callbacks.SwapEMAWeights()
    model.fit(*small.batch(12), batch_size=4, verbose=0, callbacks=[written, swapped])
    expected = [(a + b) / 4 + c / 2 for a, b, c in zip(*weights, strict=True)]
    for weight, wanted in zip(model.network.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-5, atol=1e-6)
