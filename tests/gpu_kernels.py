"""Which operations of a traced function TensorFlow has no kernel for on a GPU.

The registry lists the kernels that a build of TensorFlow has, on machines without a GPU, too.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

# What has no kernel anywhere: arguments of functions, and calls, which are inlined.
NO_KERNEL = {"Placeholder", "PartitionedCall", "StatefulPartitionedCall"}


def lacking(function: Any) -> set[str]:
    """The operations of a concrete function, and of those it calls, as `Pad[int64]`."""
    graph = function.graph.as_graph_def(add_shapes=False)
    bodies = [graph.node, *(body.node_def for body in graph.library.function)]
    return {_named(node) for nodes in bodies for node in nodes if not _runs(node)}


def _runs(node: node_def_pb2.NodeDef) -> bool:
    """Whether a node has a kernel on GPUs, or is told to stay on the host."""
    if node.op in NO_KERNEL or "CPU" in node.device:
        return True
    chosen = {name: value.type for name, value in node.attr.items() if value.type}
    return any(_fits(kernel, chosen) for kernel in _kernels(node.op))


@functools.cache
def _kernels(op: str) -> list[dict[str, Iterable[int]]]:
    """The GPU's kernels of an operation: the types that each allows, by attribute."""
    return [
        {limit.name: list(limit.allowed_values.list.type) for limit in kernel.constraint}
        for kernel in get_registered_kernels_for_op(op).kernel
        if kernel.device_type in ("GPU", "DEFAULT")
    ]


def _fits(kernel: dict[str, Iterable[int]], chosen: dict[str, int]) -> bool:
    return all(name not in chosen or chosen[name] in types for name, types in kernel.items())


def _named(node: node_def_pb2.NodeDef) -> str:
    return f"{node.op}[{', '.join(_types(node))}]"


def _types(node: node_def_pb2.NodeDef) -> Iterator[str]:
    for name in sorted(node.attr):
        if node.attr[name].type:
            yield f"{name}={tf.dtypes.as_dtype(node.attr[name].type).name}"
