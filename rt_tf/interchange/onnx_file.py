"""An ONNX file as a Keras network, which is checked against ONNX's own evaluator."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.interchange import functions, loading, precision, probes
from rt_tf.interchange.endings import Ending, ending
from rt_tf.interchange.nodes.call import Operand, error_line, refusal
from rt_tf.interchange.nodes.layouts import Shape, laid_out
from rt_tf.interchange.nodes.patterns import simplified
from rt_tf.interchange.nodes.values import Value
from rt_tf.interchange.operations import KNOWN, converted
from rt_tf.interchange.optional import needed
from rt_tf.interchange.parity import Comparer, Original
from rt_tf.interchange.starts import start

CHECKS = 2  # random inputs, and as many extreme ones, on which a file's network is compared
ROOM = 16.0  # times the measured rounding; other orders of summation took up to 3 times
EVALUATED = 500  # inputs, at most: ONNX's evaluator may take a quarter of a second for each
EARLIER = "operands that are the input, dense initializers or outputs of earlier nodes"


@dataclasses.dataclass(frozen=True)
class OnnxNetwork:
    """A network of an ONNX file, as a Keras model and for ONNX's reference evaluator.

    model: has the file's outputs in order, [batch, outputs], but for a final softmax. input: the
    file's, with a batch of one if it has a batch. output: its name. positions: the places of
    the numbers of a flat input of the file in the flattened input of the model. notes: on
    differences of the two. ending: a final softmax of the file. compute_dtype: the coarsest type
    in which the file computes.
    """

    path: Path
    model: keras.Model
    input: loading.Input
    output: str
    positions: np.ndarray
    notes: tuple[str, ...]
    ending: Ending
    compute_dtype: str
    evaluator: Any

    @property
    def shape(self) -> Shape:
        """The shape of the file's input."""
        return self.input.shape

    def laid(self, flat: np.ndarray) -> np.ndarray:
        """Inputs of the Keras model, from flat ones [batch, inputs] in the file's order."""
        laid = np.empty_like(flat)
        laid[:, self.positions] = flat
        return laid.reshape(-1, *self.model.input_shape[1:])

    def evaluate(self, flat: np.ndarray) -> np.ndarray:
        """The outputs of ONNX's reference evaluator for one input [inputs] in float32: [outputs].

        UserError where it fails.
        """
        values = flat.astype(np.float32).astype(_dtype(self.input.dtype))
        feeds = {self.input.name: values.reshape(self.input.shape)}
        try:
            (outputs,) = self.evaluator.run([self.output], feeds)
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
            outputs = np.stack([self.evaluate(x) for x in flat])
            return np.exp(outputs.astype(np.float64)) if self.ending.gives_logarithms else outputs

        return Original(
            "onnx_file",
            self.path,
            answers,
            ending="softmax" if self.ending.node is not None else "",
            compute_dtype=self.compute_dtype,
            room=ROOM,
            most=EVALUATED,
        )


def read(path: Path, output: str | None = None) -> OnnxNetwork:
    """The network of a file; images become channels-last, and a final softmax is left out.

    output: the name of the one to compute, of several. UserError for a file that is none, for
    operations without a counterpart, and where the Keras network does not compute what ONNX's
    evaluator does.
    """
    file = loading.loaded(path)
    given = loading.input_of(file.graph, path)
    name = loading.output_of(file.graph, path, output)
    plain = functions.without_own(file)
    whole = functions.written_out(precision.in_float32(plain), KNOWN, given.name)
    weights, opsets = loading.initializers(whole.graph), loading.opsets(whole)
    end = ending(whole.graph.node, name)
    nodes = simplified(whole.graph.node, weights, given.name, end.result)
    first = start(nodes, opsets, weights, given.name, given.shape)
    result = _walk(nodes, opsets, end.result, {**weights, given.name: first})
    end.check(loading.opset_of(whole), result.shape)
    dtype = precision.coarsest(plain)
    network = OnnxNetwork(
        path=path,
        model=keras.Model(first.tensor, _ordered(result), name="onnx"),
        input=given,
        output=name,
        positions=first.positions.ravel(),
        notes=(*end.notes, *_notes_on(dtype)),
        ending=end,
        compute_dtype=dtype,
        evaluator=loading.evaluator(file, path),
    )
    _check(network)
    return network


def _dtype(name: str) -> np.dtype:
    return np.dtype(getattr(needed("ml_dtypes"), name) if name == "bfloat16" else name)


def _notes_on(dtype: str) -> tuple[str, ...]:
    """A line for a file in another precision than the network's."""
    if dtype == "float32":
        return ()
    return (
        f"the file computes in {dtype}: the network is its copy in float32, with each weight "
        "rounded to the nearest",
    )


def _walk(
    nodes: Sequence[Any], opsets: Mapping[str, int], result: str, values: dict[str, Operand]
) -> Value:
    """The network's output, which has the name `result`, from all nodes in order."""
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
    return laid_out(output.tensor, output.positions.ravel())


def _check(network: OnnxNetwork) -> None:
    """Raises UserError unless both forms of a network agree on random and extreme inputs."""
    inputs = network.model.input_shape[1:]
    drawn = [draw(Domain(-1.0, 1.0), inputs, CHECKS) for draw in (probes.uniform, probes.extreme)]
    Comparer(network.model, network.original()).compare(np.concatenate(drawn))
