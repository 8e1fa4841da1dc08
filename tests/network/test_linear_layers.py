"""Layers that are linear, maxima, or nothing at inference: against Keras itself, and by hand."""

import itertools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box
from rt_tf.errors import UserError
from rt_tf.network.lowering import LOWERINGS, lower
from rt_tf.network.lowerings.inference import nothing
from rt_tf.network.steps import Call
from rt_tf.network.trace import trace

L = keras.layers
FIRST = {"data_format": "channels_first"}
SEQUENCE, IMAGE, VOLUME = (7, 2), (6, 5, 2), (4, 5, 4, 2)
SHAPES = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}


def check(layer: keras.layers.Layer, shape: tuple[int, ...]) -> None:
    """The steps of a layer compute what the layer computes."""
    model = networks.randomize(keras.Sequential([L.Input(shape), layer]))
    x = networks.images(shape, 4)
    values = [tf.constant(x)]
    for step in lower(layer, Call((shape,))):
        values.append(step.op(*(values[k] for k in step.inputs)))
    expected = model(x, training=False).numpy()
    np.testing.assert_allclose(values[-1], expected, atol=1e-5 * max(1.0, abs(expected).max()))


def moved(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with the channels first."""
    return (shape[-1], *shape[:-1])


@pytest.mark.parametrize("kind", [k for k, lowering in LOWERINGS.items() if lowering is nothing])
def test_what_does_nothing_at_inference_gives_its_input_back(kind: type) -> None:
    """Values in [0, 1] would not show that some are cut off."""
    needs = {
        *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomHue"),
        *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomZoom"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    }
    settings = {"RandomTranslation": (0.2, 0.2), "RandomPosterization": (3,)}
    name = kind.__name__
    layer = kind(*settings.get(name, (0.3,) if name in needs else ()))
    shape = {"SpatialDropout1D": (6, 3), "SpatialDropout3D": (2, 2, 2, 3)}.get(name, (6, 6, 3))
    x = 300.0 * np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    takes_training = "training" in layer.call.__code__.co_varnames
    y = layer(x, training=False) if takes_training else layer(x)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_convolutions(axes: int, padding: str, stride: int, dilation: int) -> None:
    if padding == "causal" and axes > 1:
        pytest.skip("sequences alone have an order")
    kind = getattr(L, f"Conv{axes}D")
    check(kind(3, 3 if axes == 1 else 2, stride, padding, dilation_rate=dilation), SHAPES[axes])


# (strides, output_padding, dilation)
TRANSPOSED = [(1, None, 1), (2, None, 1), (2, 1, 1), (3, 2, 1), (1, None, 2), (4, None, 1)]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolutions(axes: int, padding: str, case: tuple) -> None:
    strides, more, dilation = case
    for taps in (2, 3):
        kind = getattr(L, f"Conv{axes}DTranspose")
        layer = kind(3, taps, strides, padding, output_padding=more, dilation_rate=dilation)
        check(layer, SHAPES[axes])


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("kind", [L.DepthwiseConv1D, L.SeparableConv1D, L.SeparableConv2D])
def test_convolutions_by_channel(kind: type, stride: int, dilation: int) -> None:
    shape = IMAGE if kind is L.SeparableConv2D else SEQUENCE
    settings = {"strides": stride, "dilation_rate": dilation, "depth_multiplier": 2}
    filters = () if kind is L.DepthwiseConv1D else (3,)
    for padding in ("valid", "same"):
        check(kind(*filters, 3, padding=padding, **settings), shape)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["Average", "Max"])
def test_pools(kind: str, axes: int) -> None:
    pool, whole = (getattr(L, f"{name}{kind}Pooling{axes}D") for name in ("", "Global"))
    for padding, (size, stride) in itertools.product(("valid", "same"), [(2, None), (3, 1)]):
        check(pool(size, stride, padding), SHAPES[axes])
        check(pool(size, stride, padding, **FIRST), moved(SHAPES[axes]))
    for keepdims in (False, True):
        check(whole(keepdims=keepdims), SHAPES[axes])
        check(whole(keepdims=keepdims, **FIRST), moved(SHAPES[axes]))


SIZES = [(3, 7), (6, 4), (8, 11), (6, 5), (21, 13)]


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos3", "area"])
def test_resizing(method: str) -> None:
    for size, antialias in itertools.product(SIZES, (False, True)):
        settings = {"interpolation": method, "antialias": antialias}
        check(L.Resizing(*size, **settings), IMAGE)
        check(L.Resizing(*size, crop_to_aspect_ratio=True, **settings), IMAGE)
        check(L.Resizing(*size, pad_to_aspect_ratio=True, fill_value=0.3, **settings), IMAGE)
    if method != "area":
        check(L.UpSampling2D((2, 3), interpolation=method), IMAGE)


@pytest.mark.parametrize("size", [(4, 3), (6, 5), (8, 4), (7, 9), (3, 8)])
def test_centre_crops(size: tuple[int, int]) -> None:
    check(L.CenterCrop(*size), IMAGE)
    check(L.CenterCrop(*size, **FIRST), moved(IMAGE))


EQUATIONS = [
    ("ab,bc->ac", 4, "c", (5,)),
    ("...x,xy->...y", 4, "y", (3, 5)),
    ("...x,xy->...y", 4, None, (3, 2, 5)),
    ("abc,cde->abde", (3, 2, 4), "de", (3, 5)),
    ("abde,dec->abc", (3, 4), "c", (3, 2, 5)),
    ("abc,bcd->abd", (3, 4), "bd", (3, 5)),
    ("abc,bd->adc", (4, 5), None, (3, 5)),
    ("abc,d->abcd", (3, 5, 2), None, (3, 5)),
]


@pytest.mark.parametrize(("equation", "output", "bias", "shape"), EQUATIONS)
def test_products_by_einstein_s_convention(equation, output, bias, shape) -> None:  # type: ignore[no-untyped-def]
    check(L.EinsumDense(equation, output, bias_axes=bias, activation="relu"), shape)


def test_an_equation_that_moves_the_batch_is_refused() -> None:
    layer = L.EinsumDense("abc,cd->bda", (4, None), name="moving")
    layer.build((None, 3, 4))
    with pytest.raises(
        UserError, match="'moving': expected .* batch first; received 'abc,cd->bda'"
    ):
        lower(layer, Call(((3, 4),)))


INSIDE = [
    (lambda: L.Conv2D(3, 2, activation="relu"), (3, 4, 5, 2)),
    (lambda: L.MaxPooling2D(2), (3, 4, 4, 2)),
    (lambda: L.Resizing(3, 5), (3, 4, 4, 2)),
    (lambda: L.Dropout(0.5), (3, 4)),
    (lambda: L.SpectralNormalization(L.Dense(3, activation="tanh")), (3, 4)),
]


@pytest.mark.parametrize(("inside", "shape"), INSIDE)
def test_layers_at_each_time(inside, shape) -> None:  # type: ignore[no-untyped-def]
    check(L.TimeDistributed(inside()), shape)


@pytest.mark.parametrize("kind", [L.Maximum, L.Minimum])
def test_the_interval_of_an_extreme_is_that_of_its_inputs_ends(kind: type) -> None:
    """By a + relu(b - a) alone, a and b would move apart."""
    model = networks.functional(lambda x: kind()([x, L.Rescaling(-1.0, 1.0)(x), x]))
    graph = trace(model).lower()
    lower, upper = tf.fill([1, *networks.SHAPE], 0.2), tf.fill([1, *networks.SHAPE], 0.7)
    boxes = enclose(graph, Box(lower, upper)).boxes
    last = max(i for i, node in graph.numbered() if node.hull)
    np.testing.assert_allclose(boxes[last].lower, 0.3 if kind is L.Maximum else 0.2, atol=1e-6)
    np.testing.assert_allclose(boxes[last].upper, 0.8 if kind is L.Maximum else 0.7, atol=1e-6)


def test_interpolation_by_differences_is_paid_for_where_its_weights_are_tiny() -> None:
    """From 3 to 21 pixels some weights are a unit of rounding, of values that are not."""
    (step, _) = lower(L.Resizing(21, 21), Call(((3, 3, 1),)))
    rows = tf.constant(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1).repeat(3, axis=2))
    weights, sizes = step.op(rows).numpy(), step.op.sizes(rows).numpy()
    tiny = (weights > 0.0) & (weights < 1e-6)
    assert tiny.any()
    assert (sizes[tiny] == 1.0).all()
