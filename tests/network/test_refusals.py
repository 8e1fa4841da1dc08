"""Networks without bounds are refused by name, in one line, and never bounded as something else."""

import functools

import keras
import networks
import pytest
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.relaxations import ACTIVATIONS
from rt_tf.network.trace import trace

L = keras.layers


class Doubled(L.Dense):
    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs)


class Standardized(L.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, 2.0 * kernel)


class Mean(L.Add):
    def _merge_function(self, inputs):
        return super()._merge_function(inputs) / 2.0


class Tripled(L.ReLU):
    def call(self, inputs):
        return 3.0 * super().call(inputs)


class OwnSoftmax(L.Softmax):
    def call(self, inputs):
        return -super().call(inputs)


class Relu(keras.Operation):
    def call(self, x):
        return 3.0 * x

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


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


def ended(layer):
    return lambda: keras.Sequential([L.Input((4,)), L.Dense(3), layer])


def multiplied():
    return networks.functional(lambda x: L.Dense(2)(x) * x)


def replaced():
    """A layer that computes something else by itself, whatever its class does."""
    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    call = model.layers[0].call
    model.layers[0].call = lambda x, training=None: -call(x)
    return model


def of(*layers, shape=networks.SHAPE):
    return lambda: networks.chain(*layers, shape=shape)


REFUSED = {
    "lstm": (of(L.LSTM(3), shape=(4, 3)), "'lstm.*LSTM has no lowering.*Dense"),
    "layer_normalization": (of(L.LayerNormalization()), "LayerNormalization has no lowering"),
    "multiply": (multiplied, "Multiply has no lowering.*Concatenate"),
    "transposed": (of(L.Conv2DTranspose(3, 3)), "Conv2DTranspose has no lowering.*DepthwiseConv2D"),
    "prelu": (of(L.PReLU()), "PReLU has no lowering"),
    "gelu": (of(L.Dense(3, activation="gelu")), "activation 'gelu' has no relaxation.*relu"),
    "selu": (of(L.Activation("selu")), "activation 'selu' has no relaxation.*elu"),
    "activation_layer": (of(L.Dense(3, activation=L.PReLU())), "activation 'PReLU'.*leaky_relu"),
    "own_activation_layer": (
        of(L.Dense(3, activation=Tripled())),
        "ReLU's own.*received Tripled",
    ),
    "partial": (
        of(L.Dense(3, activation=functools.partial(keras.activations.elu, alpha=0.5))),
        "activation 'functools.partial'",
    ),
    "softmax": (of(L.Activation("softmax")), "softmax as the network's last operation alone"),
    "softmax_layer": (of(L.Softmax()), "'softmax.*': expected softmax as the network's last"),
    "softmax_of_dense": (of(L.Dense(3, "softmax")), "softmax as the network's last"),
    "softmax_as_layer": (of(L.Dense(3, L.Softmax())), "softmax as the network's last"),
    "softmax_operation": (
        lambda: networks.functional(keras.ops.softmax),
        "softmax as the network's last operation alone",
    ),
    "softmax_over_the_batch": (ended(L.Softmax(axis=0)), "over the classes"),
    "own_softmax": (ended(OwnSoftmax()), "Softmax's own.*received OwnSoftmax"),
    "log_softmax": (ended(L.Activation("log_softmax")), "activation 'log_softmax' has no"),
    "own_activation": (of(L.Dense(3, activation=lambda x: x)), "activation '.*<lambda>'"),
    "own_relu": (of(L.Dense(3, activation=relu)), "activation '.*test_refusals.relu'"),
    "own_linear": (of(L.Conv2D(3, 3, activation=linear)), "activation '.*test_refusals.linear'"),
    "own_call": (of(Doubled(3)), "Dense's own.*received Doubled"),
    "own_convolution": (of(Standardized(3, 3)), "Conv2D's own.*received Standardized"),
    "own_model_call": (changed_functional, "own call; received DoubledModel"),
    "own_nested_call": (changed_nested, "own call; received DoubledModel"),
    "own_sum": (lambda: networks.functional(lambda x: Mean()([x, x])), "Add's own.*received Mean"),
    "operation": (
        lambda: networks.functional(keras.ops.exp),
        "operation 'exp.*': Exp has no lowering, so no bounds; expected a layer or one of the "
        "operations Add,",
    ),
    "operator": (lambda: networks.functional(lambda x: x - x), "Subtract has no lowering"),
    "own_operation": (lambda: networks.functional(Relu()), "Relu has no lowering"),
    "slice": (lambda: networks.functional(lambda x: x[:, 1:]), "GetItem has no lowering"),
    "constant": (
        lambda: networks.functional(lambda x: x + 1.0),
        r"operation 'add.*': expected operands computed from .*; received a constant of shape \(\)",
    ),
    "constant_before": (
        lambda: networks.functional(lambda x: tf.ones([4, 1]) + x),
        r"received a constant of shape \(4, 1\)",
    ),
    "unequal_ranks": (
        lambda: networks.functional(lambda x: x + L.GlobalAveragePooling2D()(x)),
        r"equally many axes; received \(None, 4, 4, 2\), \(None, 2\)",
    ),
    "operation_threshold": (
        lambda: networks.functional(lambda x: keras.activations.relu(x, threshold=0.5)),
        "layer 're_lu.*': expected threshold=0; received threshold=0.5",
    ),
    "operation_negative": (
        lambda: networks.functional(lambda x: keras.activations.relu(x, max_value=-1.0)),
        "operation 're_lu.*': max_value of a ReLU layer cannot be a negative",
    ),
    "relu_threshold": (of(L.ReLU(threshold=0.1)), "expected threshold=0; received threshold=0.1"),
    "relu_slope": (of(L.ReLU(negative_slope=2.0)), "between 0 and 1; received negative_slope=2.0"),
    "leaky_slope": (of(L.LeakyReLU(1.5)), "between 0 and 1; received negative_slope=1.5"),
    "elu_alpha": (of(L.ELU(1.5)), "at most 1, where ELU is convex; received alpha=1.5"),
    "elu_flat": (of(L.ELU(0.0)), "alpha above 0 .*received alpha=0.0"),
    "elu_decreasing": (of(L.ELU(-1.0)), "alpha above 0 .*received alpha=-1.0"),
    "concatenated_batch": (
        lambda: networks.functional(lambda x: L.Concatenate(axis=0)([x, x])),
        "an axis other than the batch's; received axis=0",
    ),
    "channels_first": (
        of(L.Conv2D(3, 1, data_format="channels_first")),
        "data_format='channels_last'; received 'channels_first'",
    ),
    "channels_first_pool": (
        of(L.MaxPooling2D(2, data_format="channels_first"), shape=(2, 4, 4)),
        "data_format='channels_last'",
    ),
    "channels_first_global": (
        of(L.GlobalMaxPooling2D(data_format="channels_first")),
        "data_format='channels_last'",
    ),
    "channels_first_depthwise": (
        of(L.DepthwiseConv2D(1, data_format="channels_first")),
        "data_format='channels_last'",
    ),
    "other_axis": (of(L.BatchNormalization(axis=1)), "last axis; received axis=1"),
    "inverted": (of(L.Normalization(mean=0.0, variance=1.0, invert=True)), "invert=False"),
    "subclassed": (subclassed, "functional or Sequential model .*received Subclassed"),
    "replaced": (replaced, "expected Dense's own unquantised computation"),
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
        r"2 outputs or more; received an output of shape \(None, 1\)",
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
    "nested_whole_numbers": (
        called(keras.Sequential([L.Input(networks.SHAPE, dtype="uint8"), L.Rescaling(1.0)])),
        "an input in floating point, .*; received uint8, to which values are cut off",
    ),
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


@pytest.mark.parametrize("activation", [None, "linear", *ACTIVATIONS])
@pytest.mark.parametrize("room", [None, keras.activations, keras.ops, tf.nn])
def test_stock_activations_are_recognised(room, activation):
    if room is not None:
        activation = getattr(room, activation or "linear", activation)
    trace(networks.chain(L.Dense(3, activation=activation), L.Activation(activation or "linear")))
