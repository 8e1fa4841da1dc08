"""An ONNX file as a Keras network, which is checked against ONNX's own evaluator."""

import collections
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.interchange import probes, softmax
from rt_tf.interchange.nodes import Operand, error_line, evaluated, refusal
from rt_tf.interchange.operations import DOMAINS, converted
from rt_tf.interchange.optional import needed
from rt_tf.interchange.parity import Comparer, Original
from rt_tf.interchange.values import (
    MOST_NUMBERS,
    Shape,
    Value,
    channels_last,
    image_positions,
    numbers,
)

CHECKS = 2  # random inputs, and as many extreme ones, on which a file's network is compared
ROOM = 16.0  # times the measured rounding; other orders of summation took up to 3 times
EVALUATED = 500  # inputs, at most: ONNX's evaluator may take a quarter of a second for each
FLOAT = 1  # onnx.TensorProto.FLOAT
OPSET = 15
EARLIER = "operands that are the input, dense initializers or outputs of earlier nodes"
BY_NUMBER = ("Add", "Div", "Mul", "Sub")  # the operations that keep images what they are


@dataclasses.dataclass(frozen=True)
class OnnxNetwork:
    """A network of an ONNX file, as a Keras model and for ONNX's reference evaluator.

    model: has the file's outputs in order, [batch, outputs], but for a final softmax. name,
    shape: of the file's input, with a batch of one if it has a batch. positions: the places of
    the numbers of a flat input of the file in the flattened input of the model. notes: on
    differences of the two. softmax: whether the file's outputs are probabilities of the
    model's.
    """

    path: Path
    model: keras.Model
    name: str
    shape: Shape
    positions: np.ndarray
    notes: tuple[str, ...]
    softmax: bool
    evaluator: Any

    def laid(self, flat: np.ndarray) -> np.ndarray:
        """Inputs of the Keras model, from flat ones [batch, inputs] in the file's order."""
        laid = np.empty_like(flat)
        laid[:, self.positions] = flat
        return laid.reshape(-1, *self.model.input_shape[1:])

    def evaluate(self, flat: np.ndarray) -> np.ndarray:
        """The outputs of ONNX's reference evaluator for one input [inputs] in float32: [outputs].

        UserError where it fails.
        """
        feeds = {self.name: flat.astype(np.float32).reshape(self.shape)}
        try:
            (outputs,) = self.evaluator.run(None, feeds)
        except Exception as error:  # the evaluator's are of many kinds
            raise UserError(
                f"onnx_file: expected a network that ONNX's evaluator computes; {self.path} is "
                f"not: {error_line(error)}"
            ) from error
        return np.ravel(outputs)

    def original(self) -> Original:
        """The file's own network, as a function of inputs of the Keras model."""

        def answers(inputs: np.ndarray) -> np.ndarray:
            flat = inputs.reshape(len(inputs), -1)[:, self.positions]
            return np.stack([self.evaluate(x) for x in flat])

        return Original("onnx_file", self.path, answers, self.softmax, room=ROOM, most=EVALUATED)


def read(path: Path) -> OnnxNetwork:
    """The network of a file; images become channels-last, and a final softmax is left out.

    UserError for a file that is none, for operations without a counterpart, and where the Keras
    network does not compute what ONNX's evaluator does.
    """
    file = _loaded(path)
    nodes, last = softmax.apart(file.graph)
    result = file.graph.output[0].name if last is None else last.input[0]
    weights = _initializers(file.graph)
    name, shape = _input(file.graph, path)
    start, tensor = _start(file, weights, name, shape)
    output = _walk(file, nodes, result, {**weights, name: start})
    if last is not None:
        softmax.check(last, _opset(file), output.shape)
    network = OnnxNetwork(
        path=path,
        model=keras.Model(tensor, _ordered(output), name="onnx"),
        name=name,
        shape=shape,
        positions=start.positions.ravel(),
        notes=(softmax.NOTE,) if last is not None else (),
        softmax=last is not None,
        evaluator=needed("onnx.reference").ReferenceEvaluator(file),
    )
    _check(network)
    return network


def _loaded(path: Path) -> Any:
    onnx = needed("onnx")
    try:
        file = onnx.load(path)
    except FileNotFoundError as error:
        raise UserError(f"onnx_file: expected an .onnx file; there is no file {path}") from error
    except Exception as error:  # whatever protobuf and a foreign file make of each other
        raise UserError(
            f"onnx_file: expected an ONNX file; {path} is not: {error_line(error)}"
        ) from error
    if not file.graph.node:
        raise UserError(f"onnx_file: expected an ONNX file with a network; {path} holds none")
    return _with_inference(file, path)


def _with_inference(file: Any, path: Path) -> Any:
    """The file, converted where needed to an opset that normalises batches by fixed statistics.

    For earlier opsets ONNX's evaluator computes the statistics anew.
    """
    opset = _opset(file)
    if opset >= OPSET or all(node.op_type != "BatchNormalization" for node in file.graph.node):
        return file
    try:
        return needed("onnx.version_converter").convert_version(file, OPSET)
    except Exception as error:  # the converter's are of many kinds
        raise UserError(
            f"onnx_file: expected a file that ONNX can convert from opset {opset} to {OPSET}; "
            f"{path} is not: {error_line(error)}"
        ) from error


def _opset(file: Any) -> int:
    return max((v for domain, v in _opsets(file).items() if domain in DOMAINS), default=0)


def _opsets(file: Any) -> dict[str, int]:
    return {entry.domain: entry.version for entry in file.opset_import}


def _initializers(graph: Any) -> dict[str, Operand]:
    return {tensor.name: _array(tensor) for tensor in graph.initializer}


def _array(tensor: Any) -> np.ndarray:
    """An initializer's numbers; UserError where the file does not hold as many as its shape."""
    try:
        return needed("onnx.numpy_helper").to_array(tensor)
    except Exception as error:  # numpy's and onnx's are of many kinds
        raise UserError(
            f"onnx_file: expected the {numbers(tensor.dims)} numbers {list(tensor.dims)} of "
            f"initializer '{tensor.name}'; received {error_line(error)}"
        ) from error


def _input(graph: Any, path: Path) -> tuple[str, Shape]:
    """The name and the shape of the one input, for a batch of one; a lone axis is no batch."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise UserError(
            f"onnx_file: expected one input and one output; {path} has {len(inputs)} and "
            f"{len(graph.output)}"
        )
    kind = inputs[0].type.tensor_type
    axes = [axis.dim_value for axis in kind.shape.dim]
    shape = tuple(axes) if len(axes) == 1 else (1, *axes[1:])
    one = len(axes) == 1 or (axes and axes[0] <= 1)
    if kind.elem_type != FLOAT or not one or min(shape) < 1 or numbers(shape) > MOST_NUMBERS:
        raise UserError(
            f"onnx_file: expected an input in float32 of a known shape of at most {MOST_NUMBERS:,} "
            f"numbers, one at a time; received '{inputs[0].name}' of type {kind.elem_type} and "
            f"shape {axes}"
        )
    return inputs[0].name, shape


def _start(
    file: Any, weights: dict[str, Operand], name: str, shape: Shape
) -> tuple[Value, keras.KerasTensor]:
    """The Keras input: images channels-last, or vectors; the first node that moves it decides."""
    images = _images_shape(file, weights, name, shape)
    laid = channels_last(images) if images else (math.prod(shape),)
    positions = image_positions(images) if images else np.arange(math.prod(shape))
    if len(shape) == 4 and images is None:
        laid = shape[1:]
    tensor = keras.Input(laid, name="input", dtype="float32")
    return Value(tensor, positions.reshape(shape)), tensor


def _images_shape(file: Any, weights: dict[str, Operand], name: str, shape: Shape) -> Shape | None:
    """The ONNX shape of the images that an input holds, flattened or not; None for other inputs."""
    reader = _first_mover(file.graph, name)
    if len(shape) == 4:  # channels-last already where they are transposed at once
        return None if reader is not None and reader.op_type == "Transpose" else shape
    if reader is None or reader.op_type != "Reshape" or len(reader.input) < 2:
        return None
    target = weights.get(reader.input[1])
    if not isinstance(target, np.ndarray) or target.shape != (4,):
        return None
    (reshaped,) = evaluated(reader, _opsets(file), [np.zeros(shape, np.float32), target])
    return reshaped.shape if reshaped.shape[0] == 1 else None


def _first_mover(graph: Any, name: str) -> Any:
    """The first node that does more to the input than arithmetic; None if there is none."""
    for node in graph.node:
        if name in node.input:
            if node.op_type not in BY_NUMBER:
                return node
            name = node.output[0]
    return None


def _walk(file: Any, nodes: Sequence[Any], result: str, values: dict[str, Operand]) -> Value:
    """The network's output, which has the name `result`, from all nodes in order."""
    opsets = _opsets(file)
    uses = collections.Counter(name for node in nodes for name in node.input)
    uses.update([result])
    for node in nodes:
        missing = [name for name in node.input if name and name not in values]
        if missing:
            raise refusal(node, EARLIER, f"'{missing[0]}'")
        operands = [values[name] if name else None for name in node.input]
        for name, operand in zip(node.output, converted(node, opsets, operands), strict=False):
            values[name] = operand if uses[name] == 1 else _shared(operand)
    output = values.get(result)
    if not isinstance(output, Value):
        raise UserError("onnx_file: expected an output that depends on the input; it does not")
    return output


def _shared(operand: Operand) -> Operand:
    """An operand that several nodes read: no one's bias may go into the layer that computes it."""
    return operand._replace(maker=None) if isinstance(operand, Value) else operand


def _ordered(output: Value) -> keras.KerasTensor:
    """The output as vectors in the file's order."""
    if not (output.positions.ravel() == np.arange(output.positions.size)).all():
        raise UserError(
            "onnx_file: expected an output in order; received images of shape "
            f"{list(output.shape)}, channels first"
        )
    return output.flat()


def _check(network: OnnxNetwork) -> None:
    """Raises UserError unless both forms of a network agree on random and extreme inputs."""
    inputs = network.model.input_shape[1:]
    drawn = [draw(Domain(-1.0, 1.0), inputs, CHECKS) for draw in (probes.uniform, probes.extreme)]
    Comparer(network.model, network.original()).compare(np.concatenate(drawn))
