"""What cannot be bounded is refused by name, in one line, and never bounded as something else."""

import keras
import networks
import pytest
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.trace import trace

L = keras.layers


class Doubled(L.Dense):
    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs)


class Standardized(L.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, 2.0 * kernel)


class DoubledModel(keras.Model):
    def call(self, inputs):
        return 2.0 * super().call(inputs)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)


def relu(x):
    return 3.0 * tf.nn.relu(x)


def linear(x):
    return tf.nn.relu(x)


def two_inputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], L.Add()([a, b]))


def two_outputs():
    a = keras.Input((4,))
    return keras.Model(a, [L.Dense(2)(a), L.Dense(3)(a)])


def subclassed():
    model = Subclassed()
    model(tf.zeros([1, 4]))
    return model


def changed_functional():
    a = keras.Input((4,))
    return DoubledModel(a, L.Dense(3)(a))


def changed_nested():
    a, b = keras.Input((4,)), keras.Input((4,))
    inner = DoubledModel(b, L.Dense(4)(b))
    return keras.Model(a, L.Dense(3)(inner(a)))


def called(layer, **arguments):
    return lambda: networks.functional(lambda x: layer(x, **arguments))


def of(*layers, shape=networks.SHAPE):
    return lambda: networks.chain(*layers, shape=shape)


REFUSED = {
    "lstm": (of(L.LSTM(3), shape=(4, 3)), "'lstm.*LSTM has no lowering.*Dense"),
    "layer_normalization": (of(L.LayerNormalization()), "LayerNormalization has no lowering"),
    "depthwise": (of(L.DepthwiseConv2D(3)), "DepthwiseConv2D has no lowering"),
    "leaky_relu": (of(L.LeakyReLU()), "LeakyReLU has no lowering"),
    "gelu": (of(L.Dense(3, activation="gelu")), "activation 'gelu' has no relaxation.*relu"),
    "softmax": (of(L.Activation("softmax")), "activation 'softmax'"),
    "activation_layer": (of(L.Dense(3, activation=L.LeakyReLU())), "activation '.*LeakyReLU'"),
    "own_activation": (of(L.Dense(3, activation=lambda x: x)), "activation '.*<lambda>'"),
    "own_relu": (of(L.Dense(3, activation=relu)), "activation '.*test_refusals.relu'"),
    "own_linear": (of(L.Conv2D(3, 3, activation=linear)), "activation '.*test_refusals.linear'"),
    "own_call": (of(Doubled(3)), "Dense's own.*received Doubled"),
    "own_convolution": (of(Standardized(3, 3)), "Conv2D's own.*received Standardized"),
    "own_model_call": (changed_functional, "own call; received DoubledModel"),
    "own_nested_call": (changed_nested, "own call; received DoubledModel"),
    "operation": (
        lambda: networks.functional(lambda x: keras.ops.relu(L.Conv2D(3, 3)(x))),
        "expected a Keras layer; received a bare keras.ops Relu",
    ),
    "operator": (
        lambda: networks.functional(lambda x: L.Conv2D(2, 3, padding="same")(x) + x),
        "received a bare keras.ops Add",
    ),
    "relu_max": (of(L.ReLU(max_value=1.0)), "plain ReLU; received max_value=1.0"),
    "relu_slope": (of(L.ReLU(negative_slope=0.1)), "plain ReLU; .*negative_slope=0.1"),
    "relu_threshold": (of(L.ReLU(threshold=0.1)), "plain ReLU; .*threshold=0.1"),
    "channels_first": (
        of(L.Conv2D(3, 1, data_format="channels_first")),
        "data_format='channels_last'; received 'channels_first'",
    ),
    "channels_first_pool": (
        of(L.MaxPooling2D(2, data_format="channels_first"), shape=(2, 4, 4)),
        "data_format='channels_last'",
    ),
    "grouped": (of(L.Conv2D(4, 3, groups=2)), "groups=1; received groups=2"),
    "max_pool_same": (of(L.MaxPooling2D(3, padding="same")), "padding='valid'; received 'same'"),
    "other_axis": (of(L.BatchNormalization(axis=1)), "last axis; received axis=1"),
    "inverted": (of(L.Normalization(mean=0.0, variance=1.0, invert=True)), "invert=False"),
    "subclassed": (subclassed, "functional or Sequential model .*received Subclassed"),
    "unbuilt": (lambda: keras.Sequential([L.Dense(3)]), "known input shape; received Sequential"),
    "unknown_size": (
        lambda: keras.Sequential([L.Input((None, 4, 1)), L.GlobalAveragePooling2D(), L.Dense(3)]),
        "input of known shape",
    ),
    "two_inputs": (two_inputs, "one input and one output; received 2 and 1"),
    "two_outputs": (two_outputs, "one input and one output; received 1 and 2"),
    "image_output": (
        lambda: keras.Sequential([L.Input((4, 4, 1)), L.Dense(3)]),
        r"logits \[batch, classes\].*received an output of shape \(None, 4, 4, 3\)",
    ),
    "one_logit": (
        lambda: keras.Sequential([L.Input((4,)), L.Dense(1)]),
        r"two classes or more; received an output of shape \(None, 1\)",
    ),
    # In such a call Keras normalises or drops at inference too.
    "batch_norm_training": (
        called(L.BatchNormalization(), training=True),
        "on its inputs alone; received also training=True",
    ),
    "batch_norm_inference": (
        called(L.BatchNormalization(), training=False),
        "on its inputs alone; received also training=False",
    ),
    "dropout_training": (called(L.Dropout(0.5), training=True), "received also training=True"),
    "nested_training": (
        called(keras.Sequential([L.Input(networks.SHAPE), L.BatchNormalization()]), training=True),
        "received also training=True",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")  # Keras's own, of lambdas
def test_refused_by_name(case):
    make, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as caught:
        trace(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("activation", [None, "linear", "relu", keras.activations.relu, tf.nn.relu])
def test_stock_activations_are_recognised(activation):
    trace(networks.chain(L.Dense(3, activation=activation), L.Activation(activation or "linear")))
