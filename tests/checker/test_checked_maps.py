"""The checker's sums by index, groups, transposes, matrices and choices: by definition."""

import json

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from kept_proofs import question

from rt_tf.checker import rounding
from rt_tf.checker.enclosure import enclose
from rt_tf.checker.lines import by_rule
from rt_tf.checker.malformed import MalformedError
from rt_tf.checker.maxima import choice
from rt_tf.checker.network import Network, from_arrays
from rt_tf.checker.region import region
from rt_tf.proofs.network_file import network_arrays

L = keras.layers

SEQUENCE, IMAGE = (6, 2), (5, 4, 2)


def network_of(records: list[dict], arrays: dict, shape: tuple[int, ...], output: int) -> Network:
    """The network of some records, flattened at its end, with two logits. output: its values."""
    nodes = [{"inputs": [i], **record} for i, record in enumerate(records)]
    last = len(nodes)
    nodes.append({"op": "reshape", "inputs": [last], "shape": [output]})
    nodes.append({"op": "dense", "inputs": [last + 1]})
    kernel = np.random.default_rng(3).standard_normal((output, 2))
    arrays = arrays | {f"{last + 2}.kernel": kernel, f"{last + 2}.bias": np.zeros(2)}
    graph = {"schema": "rt_tf.network/1", "input_shape": list(shape), "output": last + 2}
    typed = {k: v if v.dtype == np.int32 else np.float32(v) for k, v in arrays.items()}
    return from_arrays({"graph": np.array(json.dumps(graph | {"nodes": nodes})), **typed})


def check_map(op, shape, expected) -> None:
    """The map, its transpose, the count of its terms, and that sizes are no less than weights."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, *shape))
    y = op.apply([x])
    np.testing.assert_allclose(y, expected(x), atol=1e-6)
    z = rng.standard_normal(y.shape)
    (back,) = op.transpose(z)
    assert back.shape == x.shape
    assert np.vdot(z, y) == pytest.approx(np.vdot(back, x), abs=1e-9)
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    weights = op.apply([units]).reshape(len(units), -1)
    assert (weights != 0.0).sum(axis=0).max() <= max(op.terms, 1)
    assert (weights != 0.0).sum(axis=1).max() <= max(op.transposed_terms, 1)
    sizes = op.summed([units]).reshape(len(units), -1)
    assert (sizes >= np.abs(weights)).all()
    assert op.largest >= np.abs(weights).max()


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_in_groups(groups: int, padding: str) -> None:
    kernel = np.random.default_rng(1).standard_normal((3, 2, 2 // groups, 4)).astype(np.float32)
    record = {"op": "conv", "strides": [2, 1], "padding": padding, "dilations": [1, 1]}

    def expected(x: np.ndarray) -> np.ndarray:
        pairs = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
        parts = [tf.nn.conv2d(a, k.astype(float), (2, 1), padding.upper()) for a, k in pairs]
        return np.concatenate(parts, axis=-1)

    size = expected(np.zeros((1, *IMAGE))).size
    arrays = {"1.kernel": kernel, "1.bias": np.zeros(4)}
    op = network_of([record | {"groups": groups}], arrays, IMAGE, size).nodes[0].op
    check_map(op, IMAGE, expected)
    assert op.terms == 6 * 2 // groups


@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_sequences_are_images_of_one_row(padding: str, stride: int, dilation: int) -> None:
    kernel = np.random.default_rng(1).standard_normal((1, 3, 2, 4)).astype(np.float32)
    record = {"op": "conv", "strides": [1, stride], "padding": padding, "dilations": [1, dilation]}

    def expected(x: np.ndarray) -> np.ndarray:
        before = 2 * dilation if padding == "causal" else 0
        padded = np.pad(x, [(0, 0), (before, 0), (0, 0)])
        form = "SAME" if padding == "same" else "VALID"
        return tf.nn.conv1d(padded, kernel[0].astype(float), stride, form, dilations=dilation)

    arrays = {"1.kernel": kernel, "1.bias": np.zeros(4)}
    size = int(tf.size(expected(np.zeros((1, *SEQUENCE)))))
    check_map(network_of([record], arrays, SEQUENCE, size).nodes[0].op, SEQUENCE, expected)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 2)])
def test_transposed_convolutions(padding: str, strides: tuple[int, int]) -> None:
    kernel = np.random.default_rng(1).standard_normal((3, 2, 4, 2)).astype(np.float32)
    taps = (3, 2) if padding == "valid" else (1, 1)
    size = [(n - 1) * s + t for n, s, t in zip(IMAGE, strides, taps, strict=False)]
    record = {"op": "transposed_conv", "strides": list(strides), "padding": padding, "size": size}

    def expected(x: np.ndarray) -> np.ndarray:
        shape = (len(x), *size, 4)
        return tf.nn.conv2d_transpose(x, kernel.astype(float), shape, strides, padding.upper())

    arrays = {"1.kernel": kernel, "1.bias": np.zeros(4)}
    record["dilations"] = [1, 1]
    op = network_of([record], arrays, IMAGE, size[0] * size[1] * 4).nodes[0].op
    check_map(op, IMAGE, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_matrices_along_an_axis(axis: int) -> None:
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((IMAGE[axis], 3)).astype(np.float32)
    sizes = (np.abs(kernel) + rng.random(kernel.shape)).astype(np.float32)
    size = 40 // IMAGE[axis] * 3
    arrays = {"1.kernel": kernel, "1.sizes": sizes}
    op = network_of([{"op": "along", "axis": axis}], arrays, IMAGE, size).nodes[0].op
    letters, product = "bhwc", "bhwc".replace("bhwc"[axis + 1], "z")
    words = f"{letters},{letters[axis + 1]}z->{product}"
    check_map(op, IMAGE, lambda x: np.einsum(words, x, kernel.astype(float)))


def test_sums_by_index_take_one_value_of_each_input_or_none() -> None:
    """One value is taken thrice, one output takes none; of two inputs, one is the other scaled."""
    index = np.array([[0, 0, 5, 0, -1], [3, -1, 1, 2, -1]], np.int32)
    two = {"op": "sum", "inputs": [0, 1]}
    scale = {f"1.{name}": np.full(1, value) for name, value in (("kernel", 2.0), ("bias", 0.0))}
    arrays = {**scale, "1.magnitude": np.zeros(1), "2.index": index}
    op = network_of([{"op": "scale"}, two], arrays, (6,), 5).nodes[1].op
    x, y = np.random.default_rng(0).standard_normal((2, 4, 6))
    expected = np.stack(
        [x[:, 0] + y[:, 3], x[:, 0], x[:, 5] + y[:, 1], x[:, 0] + y[:, 2], 0 * x[:, 0]]
    )
    np.testing.assert_array_equal(op.apply([x, y]), expected.T)
    z = np.random.default_rng(1).standard_normal((4, 5))
    back = op.transpose(z)
    assert np.vdot(z, op.apply([x, y])) == pytest.approx(np.vdot(back[0], x) + np.vdot(back[1], y))
    assert (op.terms, op.transposed_terms) == (2, 3)


def test_differences_are_of_two_places_of_one_input() -> None:
    arrays = {"1.index": np.array([[3, 1, 3], [0, 2, 4]], np.int32)}
    op = network_of([{"op": "difference"}], arrays, (6,), 3).nodes[0].op
    check_map(
        op, (6,), lambda x: np.stack([x[:, 3] - x[:, 0], x[:, 1] - x[:, 2], x[:, 3] - x[:, 4]], 1)
    )
    assert (op.terms, op.transposed_terms) == (2, 3)


def test_moved_values_cost_nothing_and_repeated_ones_something() -> None:
    """Of values that are taken once, nothing rounds; a transposed sum does, in float64."""
    for index, terms in (([[2, 1, 0]], 0), ([[2, 2, 0]], 1)):
        arrays = {"1.index": np.array(index, np.int32)}
        op = network_of([{"op": "sum"}], arrays, (3,), 3).nodes[0].op
        assert op.terms == terms


INDEX = np.zeros((1, 3), np.int32)
CONV = {"op": "conv", "strides": [1, 1], "padding": "same", "dilations": [1, 1]}
BACK = CONV | {"op": "transposed_conv", "size": [5, 4]}
ONES = {"1.kernel": np.ones((1, 1, 2, 2)), "1.bias": np.zeros(2)}
ALONG = {"1.kernel": np.ones((5, 3)), "1.sizes": np.ones((5, 3))}
WRONG = {
    "place beyond": ({"op": "sum"}, {"1.index": INDEX + 40}, "places from -1 to 39"),
    "place below": ({"op": "sum"}, {"1.index": INDEX - 2}, "places from -1 to 39"),
    "index of floats": ({"op": "sum"}, {"1.index": INDEX * 1.0}, "an array of int32"),
    "index of another input": ({"op": "sum"}, {"1.index": INDEX[[0, 0]]}, "an index of 1 rows"),
    "index of nothing": ({"op": "sum"}, {"1.index": INDEX[:, :0]}, "an index of 1 rows"),
    "difference of nothing": (
        {"op": "difference"},
        {"1.index": np.array([[0, 1], [2, -1]], np.int32)},
        "places from 0 to 39",
    ),
    "difference of one": ({"op": "difference"}, {"1.index": INDEX}, "an index of 2 rows"),
    "groups": (CONV | {"groups": 2}, ONES, "2 groups of 2 channels"),
    "no groups": (CONV | {"groups": 0}, ONES, "'groups' to be at least 1"),
    "odd groups": (
        CONV | {"groups": 2},
        {"1.kernel": np.ones((1, 1, 1, 3)), "1.bias": np.zeros(3)},
        "2 groups of 1 channels",
    ),
    "size of another input": (BACK | {"size": [5, 5]}, ONES, "(5, 5, 2); received (5, 4, 2)"),
    "no size": (CONV | {"op": "transposed_conv"}, ONES, "the field 'size'"),
    "huge size": (BACK | {"size": [10**6, 10**6]}, ONES, "values at once"),
    "axis": ({"op": "along", "axis": 1}, ALONG, "5 values along axis 1"),
    "no such axis": ({"op": "along", "axis": 7}, ALONG, "5 values along axis 7"),
    "sizes too small": (
        {"op": "along", "axis": 0},
        ALONG | {"1.kernel": -1.5 * np.ones((5, 3))},
        "'sizes' to be no less",
    ),
    "slope above 1": ({"op": "relu", "slope": 1.5}, {}, "'slope' to be from 0 to 1"),
    "slope below 0": ({"op": "relu", "slope": -0.5}, {}, "'slope' to be from 0 to 1"),
    "slope no number": ({"op": "relu", "slope": "0.5"}, {}, "'slope' to be float"),
    "divisor": ({"op": "add", "inputs": [0, 0], "divisor": 3}, {}, "'divisor' to be 1 or 2"),
    "two inputs": ({"op": "along", "inputs": [0, 0], "axis": 0}, ALONG, "one input of 'along'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_records_that_do_not_fit_are_refused_in_a_line(case: str) -> None:
    record, arrays, words = WRONG[case]
    if case == "index of floats":
        arrays = {"1.index": INDEX.astype(np.float64)}
    with pytest.raises(MalformedError) as caught:
        network_of([record], arrays, IMAGE, 3)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["adaptive", "parallel"])
@pytest.mark.parametrize("leak", [0.0, 0.1, 0.7, 1.0])
def test_lines_hold_a_leaky_relu_between_them(leak: float, rule: str) -> None:
    rng = np.random.default_rng(0)
    lower, upper = np.sort(rng.standard_normal((2, 1, 200)) * 3.0, axis=0)
    lines = by_rule(lower, upper, rule, leak)
    for share in np.linspace(0.0, 1.0, 21):
        z = lower + share * (upper - lower)
        value, rounded = np.maximum(z, leak * z), 16.0 * rounding.OWN_UNIT * np.abs(z)
        assert (lines.lower * z <= value + rounded).all()
        assert (lines.upper * z + lines.offset >= value - rounded).all()
    unstable = (lower < 0.0) & (upper > 0.0)
    touched = lines.upper * lower + lines.offset - leak * lower
    assert np.abs(touched[unstable]).max() < 1e-12


CHOOSING = {"max_pool_same": True, "global_max_pool": True, "max_pool_odd": True, "extremes": None}


@pytest.mark.parametrize("name", CHOOSING)
def test_choices_are_recognised_and_their_ends_are_those_of_what_is_chosen_from(name: str) -> None:
    q = question(name)
    chosen = {i: choice(q.network, i) for i, _ in q.network.numbered()}
    found = {i: c for i, c in chosen.items() if c is not None}
    hulls = {i for i, node in q.graph.numbered() if node.hull}
    assert set(found) == hulls
    ball = region("linf", q.images[:1].astype(np.float64)[0], 0.2, (0.0, 1.0))
    ends = enclose(q.network, ball, lambda *_: None)
    for i, c in found.items():
        (a, first), (b, second) = c.pair
        better = np.maximum if c.largest else np.minimum
        for end, sign in ((ends.lower, -1.0), (ends.upper, 1.0)):
            exact = better(end[a][first], end[b][second])
            beyond = sign * (end[i][c.units] - exact)
            assert (beyond >= 0.0).all()
            assert beyond.max() < 1e-4
    assert {c.largest for c in found.values()} == ({True} if CHOOSING[name] else {True, False})


def test_a_choice_between_values_that_are_moved_alone_rounds_by_itself_alone() -> None:
    """The input and the same transposed have no price of rounding."""
    model = networks.functional(lambda x: L.Maximum()([x, L.Permute((2, 1, 3))(x)]))
    network = from_arrays(network_arrays(model))
    image = np.random.default_rng(0).random(networks.SHAPE)
    ends = enclose(network, region("linf", image, 0.1, (0.0, 1.0)), lambda *_: None)
    (place,) = (i for i, _ in network.numbered() if choice(network, i))
    upper = np.minimum(np.maximum(image, image.transpose(1, 0, 2)) + 0.1, 1.0)
    np.testing.assert_allclose(ends.upper[place], upper.ravel(), atol=1e-5)


def changed(name: str, value) -> bool:
    """Whether a maximum of neighbours is still one with an array changed."""
    q = question("max_pool_odd")
    place = next(i for i, _ in q.network.numbered() if choice(q.network, i))
    names = {"difference": f"{place - 2}.index", "sum": f"{place}.index"}
    arrays = dict(q.arrays)
    arrays[names[name]] = value(arrays[names[name]].copy())
    return choice(from_arrays(arrays), place) is not None


def swapped(index: np.ndarray) -> np.ndarray:
    """The places of the excess, for the first two windows in each other's stead."""
    index[1].ravel()[:2] = index[1].ravel()[1::-1]
    return index


def elsewhere(index: np.ndarray) -> np.ndarray:
    """The first difference less another value than that which is raised."""
    index[1].ravel()[0] += 1
    return index


LIKE_A_CHOICE = {
    "the other way round": ("difference", lambda index: index[::-1]),
    "less another value": ("difference", elsewhere),
    "another window's excess": ("sum", swapped),
}


def test_a_choice_that_was_not_changed_is_one() -> None:
    assert changed("sum", lambda index: index)


@pytest.mark.parametrize("case", LIKE_A_CHOICE)
def test_what_only_looks_like_a_choice_is_none(case: str) -> None:
    assert not changed(*LIKE_A_CHOICE[case])
