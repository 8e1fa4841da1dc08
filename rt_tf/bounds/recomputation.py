"""Functions whose gradients compute them again, so that nothing of them is kept until then."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from rt_tf.network.ops import Tensor

Ends = tuple[Tensor, Tensor]


def recomputed(function: Callable[[Tensor], Ends]) -> Callable[[Tensor], Ends]:
    """A function of whole numbers [n] whose gradients compute it again.

    All tensors and variables that the function uses beside its argument have gradients. Training
    takes longer, and keeps the function's results alone. To be called within a `tf.function`.

    Source: Chen et al. 2016, Training deep nets with sublinear memory cost, section 3.
    """
    numbers = tf.TensorSpec([None], tf.int32)
    traced = tf.function(function, autograph=False).get_concrete_function(numbers)
    used = [tensor for tensor in traced.captured_inputs if tensor.dtype.is_floating]

    @tf.custom_gradient
    def run(k: Tensor, *_: Tensor) -> Any:
        def gradients(*upstream: Tensor, variables: Any = ()) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*used, *variables])
                again = traced(k)
            by_source = tape.gradient(again, [*used, *variables], list(upstream))
            inputs = [None, *by_source[: len(used)]]
            return (inputs, by_source[len(used) :]) if variables else inputs

        return traced(k), gradients

    return lambda k: run(k, *used)
