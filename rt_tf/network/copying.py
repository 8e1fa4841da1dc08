"""A traced network written out as a Keras model of its own: flat, of logits, in one precision."""

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf.domain import UNLIMITED
from rt_tf.network.steps import Arguments
from rt_tf.network.trace import trace
from rt_tf.network.wiring import LayerCall, Wiring


def copied(wiring: Wiring, name: str, dtype: str = "float32") -> keras.Model:
    """A functional model of copies of the wiring's layers, each used as often as there.

    Models inside the traced one are flattened, and a final softmax that the wiring leaves out
    is gone; so are augmentations, which Keras applies in a call that does not say whether it is in
    training. dtype: the policy of every layer; the input is of the type that it computes in.
    """
    compute = keras.dtype_policies.get(dtype).compute_dtype
    values = [keras.Input(wiring.input_shape, name="input", dtype=compute)]
    copies: dict[tuple[int, bool], keras.layers.Layer] = {}
    names = {"input"}
    for call in wiring.calls:
        inputs = [values[i] for i in call.inputs]
        if not isinstance(call.layer, keras.layers.Layer):
            values.append(_constants_in(call, compute).run(inputs))
            continue
        if _augments(call):
            values.append(inputs[0])
            continue
        key = (id(call.layer), call.bare)
        is_new = key not in copies
        if is_new:
            copies[key] = _copy(call, _unused(_full_name(call), names), dtype)
        values.append(call._replace(layer=copies[key]).run(inputs))
        if is_new:  # built by its first call
            _move_state(call.layer, copies[key])
    return keras.Model(values[0], values[wiring.output], name=name)


def of_two_logits(network: keras.Model) -> keras.Model:
    """A network of one logit z, or its sigmoid, as one of the logits 0 and z; others as they are.

    UserError for a network that no bound method can interpret.
    """
    if getattr(network, "output_shape", None) != (None, 1):
        return network
    return copied(trace(network, domain=UNLIMITED), network.name)


def _constants_in(call: LayerCall, dtype: str) -> LayerCall:
    """The call of an operation with its constants in a floating-point type."""

    def cast(leaf: Any) -> Any:
        is_array = isinstance(leaf, np.ndarray) or tf.is_tensor(leaf)
        floats = is_array and "float" in keras.backend.standardize_dtype(leaf.dtype)
        return keras.ops.cast(leaf, dtype) if floats else leaf

    args, kwargs = keras.tree.map_structure(cast, (call.arguments.args, call.arguments.kwargs))
    return call._replace(arguments=Arguments(args, kwargs))


def _copy(call: LayerCall, name: str, dtype: str) -> keras.layers.Layer:
    config = {**call.layer.get_config(), "name": name, "dtype": dtype}
    if call.bare:
        config["activation"] = "linear"
    if isinstance(call.layer, keras.layers.Wrapper):
        inside = {**config["layer"]["config"], "dtype": dtype}
        config["layer"] = {**config["layer"], "config": inside}
    return type(call.layer).from_config(config)


def _augments(call: LayerCall) -> bool:
    """Whether a layer does nothing at inference, but something in a call that names no mode."""
    training = inspect.signature(call.layer.call).parameters.get("training")
    return training is not None and training.default is True and not call.lower()


def _move_state(layer: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies a layer's weights, and its own variables by its own saving.

    The latter also renews values that are derived from them.
    """
    copy.set_weights(layer.get_weights())
    store: dict[str, object] = {}
    layer.save_own_variables(store)
    copy.load_own_variables(store)


def _full_name(call: LayerCall) -> str:
    return f"{call.block}_{call.layer.name}" if call.block else call.layer.name


def _unused(name: str, names: set[str]) -> str:
    """The name, with a count if another layer has it, added to `names`."""
    candidate, count = name, 1
    while candidate in names:
        candidate, count = f"{name}_{count}", count + 1
    names.add(candidate)
    return candidate
