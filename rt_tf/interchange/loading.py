"""ONNX files as they are read: with an input, an output and weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.nodes.call import DOMAINS, Operand, error_line
from rt_tf.interchange.nodes.layouts import Shape, numbers
from rt_tf.interchange.nodes.values import MOST_NUMBERS
from rt_tf.interchange.optional import needed

OPSET = 15  # the first one in which a batch normalisation of inference is one to the evaluator
CONVERTED = ("BatchNormalization", "Upsample")  # what the evaluator lacks in files before OPSET
TYPES = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}  # by onnx.TensorProto's number


class Input(NamedTuple):
    """A network's input: its name, its shape for a batch of one, and its type."""

    name: str
    shape: Shape
    dtype: str


def loaded(path: Path) -> Any:
    """The ONNX model of a file; UserError where there is none. Weights beside it are read, too."""
    onnx = needed("onnx")
    try:
        file = onnx.load(path)
    except FileNotFoundError as error:
        if not path.exists():
            raise UserError(
                f"onnx_file: expected an .onnx file; there is no file {path}"
            ) from error
        raise UserError(
            f"onnx_file: expected the weights of {path} in its folder; {error_line(error)}"
        ) from error
    except Exception as error:  # whatever protobuf and a foreign file make of each other
        raise UserError(
            f"onnx_file: expected an ONNX file; {path} is not: {error_line(error)}"
        ) from error
    if not file.graph.node:
        raise UserError(f"onnx_file: expected an ONNX file with a network; {path} holds none")
    if not all(isinstance(name, str) for name in _names(file.graph)):
        raise UserError(f"onnx_file: expected an ONNX file; {path} has names that are not in UTF-8")
    return _with_inference(file, path)


def _names(graph: Any) -> Iterator[Any]:
    """All names in a graph: texts, or bytes where they are not in UTF-8."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (part.name for part in (*graph.initializer, *graph.input, *graph.output))


def evaluator(file: Any, path: Path) -> Any:
    """ONNX's own evaluator of a file; UserError where it does not know the file's operations."""
    try:
        return needed("onnx.reference").ReferenceEvaluator(file)
    except Exception as error:  # the evaluator's are of many kinds
        raise UserError(
            f"onnx_file: expected a network that ONNX's evaluator computes; {path} is not: "
            f"{error_line(error)}"
        ) from error


def _with_inference(file: Any, path: Path) -> Any:
    """The file, converted where needed to an opset that normalises batches by fixed statistics.

    For earlier opsets ONNX's evaluator computes the statistics anew.
    """
    opset = opset_of(file)
    if opset >= OPSET or all(node.op_type not in CONVERTED for node in file.graph.node):
        return file
    try:
        return needed("onnx.version_converter").convert_version(file, OPSET)
    except Exception as error:  # the converter's are of many kinds
        raise UserError(
            f"onnx_file: expected a file that ONNX can convert from opset {opset} to {OPSET}; "
            f"{path} is not: {error_line(error)}"
        ) from error


def opset_of(file: Any) -> int:
    """The version of ONNX's own operations in a file."""
    return max((v for domain, v in opsets(file).items() if domain in DOMAINS), default=0)


def opsets(file: Any) -> dict[str, int]:
    """The versions of the operations in a file, by domain."""
    return {entry.domain: entry.version for entry in file.opset_import}


def initializers(graph: Any) -> dict[str, Operand]:
    """A network's weights by name, each of any shape."""
    return {tensor.name: array(tensor) for tensor in graph.initializer}


def array(tensor: Any) -> np.ndarray:
    """A tensor's numbers, of any shape; UserError where the file does not hold so many."""
    try:
        return needed("onnx.numpy_helper").to_array(tensor)
    except Exception as error:  # numpy's and onnx's are of many kinds
        raise UserError(
            f"onnx_file: expected the {numbers(tensor.dims)} numbers {list(tensor.dims)} of "
            f"initializer '{tensor.name}'; received {error_line(error)}"
        ) from error


def input_of(graph: Any, path: Path) -> Input:
    """The one input, for a batch of one; a lone axis is no batch. UserError for other inputs."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(f"'{value.name}'" for value in inputs) or "none"
        raise UserError(f"onnx_file: expected one input; {path} has {names}")
    kind = inputs[0].type.tensor_type
    axes = [axis.dim_value for axis in kind.shape.dim]
    shape = tuple(axes) if len(axes) == 1 else (1, *axes[1:])
    one = len(axes) == 1 or (axes and axes[0] <= 1)
    if kind.elem_type not in TYPES or not one or min(shape) < 1 or numbers(shape) > MOST_NUMBERS:
        raise UserError(
            "onnx_file: expected an input in floating point of a known shape of at most "
            f"{MOST_NUMBERS:,} numbers, one at a time; received '{inputs[0].name}' of type "
            f"{kind.elem_type} and shape {axes}"
        )
    return Input(inputs[0].name, shape, TYPES[kind.elem_type])


def output_of(graph: Any, path: Path, output: str | None) -> str:
    """The name of the one output, or of that which is asked for; UserError names all."""
    names = [value.name for value in graph.output]
    listed = ", ".join(f"'{name}'" for name in names)
    if output is not None:
        if output not in names:
            raise UserError(f"onnx_file: expected an output among {listed}; received '{output}'")
        return output
    if len(names) != 1:
        raise UserError(
            f"onnx_file: expected one output, or the name of one; {path} has {listed or 'none'}"
        )
    return names[0]
