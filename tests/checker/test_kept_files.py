"""Files that are not what docs/proofs.md says are refused in a line."""

import io
import json

import numpy as np
import pytest
from one_proof import by_tree, outcome

from rt_tf.checker import archive
from rt_tf.checker.malformed import MalformedError

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
