"""Files that are not what docs/proofs.md says are refused in a line."""

import io
import json
import re

import numpy as np
import pytest
from one_proof import by_tree, outcome

from rt_tf.checker import archive
from rt_tf.checker.malformed import MalformedError
from rt_tf.checker.network import from_arrays

GRAPH = {
    "no such operation": (lambda g: g["nodes"][0].update(op="softmax"), "'op' to be one of"),
    "later input": (lambda g: g["nodes"][0].update(inputs=[3]), "nodes before it"),
    "node left out": (lambda g: g["nodes"].pop(2), "nodes before it"),
    "no weights": (lambda g: g["nodes"][2].update(op="dense"), "an array '3.kernel'"),
    "hidden output": (lambda g: g.update(output=99), "'output' to be one of"),
    "input shape": (lambda g: g.update(input_shape=[4, 4, 0]), "positive sizes"),
    "schema": (lambda g: g.update(schema="x"), "'schema' to be one of"),
    "attribute": (lambda g: g["nodes"][0].update(strides=[1, 1]), "no fields but"),
}


@pytest.mark.parametrize("name", GRAPH)
def test_a_graph_that_is_none_is_refused_in_a_line(name):
    q, arrays = by_tree()
    change, words = GRAPH[name]
    graph = json.loads(str(q.arrays["graph"]))
    change(graph)
    assert words in outcome(arrays, q.arrays | {"graph": np.array(json.dumps(graph))})


CONV = {"op": "conv", "strides": [1, 1], "padding": "same", "dilations": [1, 1]}
KERNELS = {
    "no outputs": ([{"op": "dense"}], (1, 0), "'kernel' of positive sizes; received (1, 0)"),
    "no taps": ([CONV], (0, 3, 1, 2), "'kernel' of positive sizes; received (0, 3, 1, 2)"),
    "no filters": ([CONV], (3, 3, 1, 0), "'kernel' of positive sizes; received (3, 3, 1, 0)"),
    "no axis": (
        [{"op": "reshape", "shape": []}, {"op": "dense"}],
        (1, 2),
        "1 values to multiply; received ()",
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_of_nothing_or_upon_nothing_is_refused_in_a_line(name):
    records, shape, words = KERNELS[name]
    nodes = [record | {"inputs": [i]} for i, record in enumerate(records)]
    graph = {
        "schema": "rt_tf.network/1",
        "input_shape": [1, 1, 1],
        "output": len(nodes),
        "nodes": nodes,
    }
    weights = {"kernel": np.ones(shape, np.float32), "bias": np.zeros(shape[-1], np.float32)}
    arrays = {f"{len(nodes)}.{name}": values for name, values in weights.items()}
    with pytest.raises(MalformedError, match=re.escape(words)):
        from_arrays({"graph": np.array(json.dumps(graph)), **arrays})


def saved(arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-30],
        flipped,
        lambda data: b"",
        lambda data: b"PK\x03\x04",
        lambda data: saved({"header": np.array([{}], object)}),
        lambda data: np.lib.format.magic(1, 0),
    ],
)
def test_files_that_are_no_whole_archives_are_refused_in_a_line(tmp_path, spoil):
    q, arrays = by_tree()
    path = tmp_path / "proofs.npz"
    path.write_bytes(saved(arrays))
    assert outcome(archive.read(path), q.arrays) == "checked"
    path.write_bytes(spoil(saved(arrays)))
    with pytest.raises(MalformedError, match="expected a whole NumPy archive; .*"):
        archive.read(path)
