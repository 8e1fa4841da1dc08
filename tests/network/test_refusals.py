"""Networks without bounds are refused by name, in one line, and never bounded as something else."""

import functools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.relaxations import ACTIVATIONS, FUNCTIONS
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


class Brightened(L.RandomBrightness):
    def transform_images(self, images, transformation, training=True):
        return 2.0 * images


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
    "lstm": (of(L.LSTM(3), shape=(4, 3)), "'lstm.*LSTM has no lowering.*rt_tf.layers"),
    "masking": (of(L.Masking(), shape=(4, 3)), "Masking has no lowering"),
    "bidirectional": (
        of(L.Bidirectional(L.LSTM(3)), shape=(4, 3)),
        "Bidirectional has no lowering",
    ),
    "recurrent_inside": (
        of(L.TimeDistributed(L.LSTM(3)), shape=(2, 4, 3)),
        "'lstm.*': LSTM has no lowering",
    ),
    "own_inside": (
        of(L.SpectralNormalization(Doubled(3))),
        "Dense's own.*received Doubled",
    ),
    "batch_norm_at_each_time": (
        of(L.TimeDistributed(L.BatchNormalization())),
        "a batch normalisation outside of TimeDistributed.*'batch_normalization.*' inside",
    ),
    "half_inside": (
        of(L.TimeDistributed(L.Dense(3, dtype="float16"))),
        "inside that computes in float32, too; received 'dense.*' in float16",
    ),
    "own_augmentation": (of(Brightened(0.1)), "RandomBrightness's own.*received Brightened"),
    "random_crop": (
        of(L.RandomCrop(2, 2)),
        r"images of the crop's own size \(2, 2\), .*; received \(4, 4, 2\)",
    ),
    "hard_shrink": (
        of(L.Dense(3, activation="hard_shrink")),
        r"activation 'hard_shrink' has no relaxation \(it jumps\).*relu",
    ),
    "squareplus": (of(L.Activation("squareplus")), "'squareplus' has no .*its rounding is"),
    "activation_layer": (of(L.Dense(3, activation=L.Flatten())), "activation 'Flatten'.*relu"),
    "own_activation_layer": (
        of(L.Dense(3, activation=Tripled())),
        "ReLU's own.*received Tripled",
    ),
    "partial": (
        of(L.Dense(3, activation=functools.partial(keras.activations.soft_shrink, threshold=0.1))),
        "activation 'functools.partial of soft_shrink'",
    ),
    "partial_of_own": (
        of(L.Dense(3, activation=functools.partial(relu))),
        "activation 'functools.partial of .*test_refusals.relu'",
    ),
    "partial_threshold": (
        of(L.Dense(3, activation=functools.partial(keras.activations.relu, threshold=0.5))),
        "expected threshold=0, as .* jumps there; received threshold=0.5",
    ),
    "softmax_over_the_batch": (ended(L.Softmax(axis=0)), "over the classes"),
    "own_softmax": (ended(OwnSoftmax()), "Softmax's own.*received OwnSoftmax"),
    "own_activation": (of(L.Dense(3, activation=lambda x: x)), "activation '.*<lambda>'"),
    "own_relu": (of(L.Dense(3, activation=relu)), "activation '.*test_refusals.relu'"),
    "own_linear": (of(L.Conv2D(3, 3, activation=linear)), "activation '.*test_refusals.linear'"),
    "own_call": (of(Doubled(3)), "Dense's own.*received Doubled"),
    "own_convolution": (of(Standardized(3, 3)), "Conv2D's own.*received Standardized"),
    "own_model_call": (changed_functional, "own call; received DoubledModel"),
    "own_nested_call": (changed_nested, "own call; received DoubledModel"),
    "own_sum": (lambda: networks.functional(lambda x: Mean()([x, x])), "Add's own.*received Mean"),
    "operation": (
        lambda: networks.functional(keras.ops.arctan),
        "operation 'arctan.*': Arctan has no lowering, so no bounds; expected a layer or "
        "one of the operations Abs",
    ),
    "misplaced_constant": (
        lambda: networks.functional(lambda x: x + keras.ops.ones((4, 1))),
        "expected a sum that Keras adds along its own axis; .*, which it adds to .* along axis",
    ),
    "batch_moved": (
        lambda: networks.functional(lambda x: keras.ops.flip(x, axis=0)),
        "expected Flip to do the same to every example by itself; received one that changes the",
    ),
    "batch_summed": (
        lambda: networks.functional(lambda x: x - keras.ops.mean(x, axis=0, keepdims=True)),
        "operation 'mean.*': expected axes other than the batch's; received axis=.0.",
    ),
    "computed_exponent": (
        lambda: networks.functional(lambda x: keras.ops.power(x, x)),
        "operation 'power.*': expected one constant exponent; received one that is computed",
    ),
    "own_operation": (lambda: networks.functional(Relu()), "Relu has no lowering"),
    "operation_threshold": (
        lambda: networks.functional(lambda x: keras.activations.relu(x, threshold=0.5)),
        "layer 're_lu.*': expected threshold=0, .*; received threshold=0.5",
    ),
    "operation_negative": (
        lambda: networks.functional(lambda x: keras.activations.relu(x, max_value=-1.0)),
        "operation 're_lu.*': max_value of a ReLU layer cannot be a negative",
    ),
    "relu_threshold": (of(L.ReLU(threshold=0.1)), "jumps there; received threshold=0.1"),
    "elu_flat": (of(L.ELU(0.0)), "alpha above 0; received alpha=0.0"),
    "elu_decreasing": (of(L.ELU(-1.0)), "alpha above 0; received alpha=-1.0"),
    "concatenated_batch": (
        lambda: networks.functional(lambda x: L.Concatenate(axis=0)([x, x])),
        "an axis other than the batch's; received axis=0",
    ),
    "misplaced_bias": (
        of(L.Conv2D(4, 1, data_format="channels_first"), shape=(2, 3, 4)),
        r"adds along its own axis; .*\(None, 4, 1, 1\), .* to \(None, 4, 3, 4\) along axis 3",
    ),
    "misplaced_bias_of_einsum": (
        of(L.EinsumDense("abc,cd->abd", (3, 3), bias_axes="b"), shape=(3, 4)),
        r"values of shape \(None, 3, 1\), which it adds to \(None, 3, 3\) along axis 2",
    ),
    "misplaced_sum": (
        lambda: networks.functional(lambda x: L.Add()([L.Dense(4)(x), L.Conv2D(1, (1, 4))(x)])),
        r"values of shape \(None, 4, 1, 1\), which it adds to \(None, 4, 4, 4\) along axis 3",
    ),
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


@pytest.mark.parametrize("name", FUNCTIONS)
def test_stock_functions_are_recognised(name):
    trace(networks.chain(L.Dense(3, activation=getattr(keras.ops, name))))


A = keras.activations
SAME = {  # an `activation=`, and another of the same values
    "approximate_gelu": (functools.partial(A.gelu, approximate=True), keras.ops.gelu),
    "exact_gelu": (functools.partial(A.gelu, approximate=False), tf.nn.gelu),
    "swish": ("swish", tf.nn.silu),
    "hard_swish": ("hard_swish", A.hard_silu),
    "elu": (functools.partial(A.elu, alpha=2.0), L.ELU(2.0)),
    "leaky_relu": (functools.partial(A.leaky_relu, negative_slope=1.5), L.LeakyReLU(1.5)),
    "relu": (functools.partial(A.relu, negative_slope=0.5, max_value=2.0), L.ReLU(2.0, 0.5)),
    "celu": (functools.partial(A.celu), A.celu),
}


@pytest.mark.parametrize("name", SAME)
def test_settings_and_names_of_activations_are_told_apart(name):
    """Each network's graph computes what its Keras model does, and all do the same."""
    x = tf.constant(networks.images((4,), 50) * 12.0 - 6.0)
    for activation in SAME[name]:
        model = keras.Sequential([L.Input((4,)), L.Dense(4, activation=activation, name="a")])
        model.layers[0].set_weights([np.eye(4, dtype=np.float32), np.zeros(4, np.float32)])
        expected = A.get(SAME[name][0])(x)
        np.testing.assert_allclose(model(x), expected, rtol=0.0, atol=2e-6)
        np.testing.assert_allclose(trace(model).lower()(x), expected, rtol=0.0, atol=2e-6)
