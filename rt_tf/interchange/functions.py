"""Functions in ONNX files, its own and those of ONNX, written out in operations."""

from collections.abc import Collection
from typing import Any

from rt_tf.errors import UserError
from rt_tf.interchange.loading import opset_of
from rt_tf.interchange.nodes.call import DOMAINS, depending, error_line
from rt_tf.interchange.optional import needed

MOST_ROUNDS = 8  # of functions within functions


def without_own(file: Any) -> Any:
    """The file with its own functions written out."""
    return _inlined("inline_local_functions", file) if file.functions else file


def written_out(file: Any, known: Collection[str], start: str) -> Any:
    """The file with ONNX's functions written out where their names are not known.

    start: the input's name. Operations on constants alone are left as they are.
    """
    file.graph.value_info.extend(_types(file.graph))  # the inliner asks for those of weights, too
    for _ in range(MOST_ROUNDS):
        nodes = [node for node in depending(file.graph.node, start) if node.domain in DOMAINS]
        others = {node.op_type for node in nodes} - {*known}
        functions = [("", name) for name in sorted(others) if _is_function(name, opset_of(file))]
        if not functions:
            return file
        file = _inlined("inline_selected_functions", file, functions, False, True)
    return file


def _inlined(name: str, file: Any, *options: Any) -> Any:
    """The file after a function of ONNX's inliner; UserError where that fails."""
    try:
        return getattr(needed("onnx.inliner"), name)(file, *options)
    except Exception as error:  # the inliner's are of many kinds
        raise UserError(
            f"onnx_file: expected functions that ONNX can write out; received {error_line(error)}"
        ) from error


def _types(graph: Any) -> list[Any]:
    make = needed("onnx.helper").make_tensor_value_info
    return [make(tensor.name, tensor.data_type, tensor.dims) for tensor in graph.initializer]


def _is_function(name: str, opset: int) -> bool:
    """Whether ONNX defines an operation by others."""
    defs = needed("onnx.defs")
    try:
        schema = defs.get_schema(name, min(opset, defs.onnx_opset_version()))
    except defs.SchemaError:  # there is none of this name in this version
        return False
    return schema.has_function or schema.has_context_dependent_function
