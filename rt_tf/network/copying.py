"""A traced network written out as a Keras model of its own: flat, of logits, in one precision."""

import keras

from rt_tf.network.wiring import LayerCall, Wiring


def copied(wiring: Wiring, name: str, dtype: str = "float32") -> keras.Model:
    """A functional model of copies of the wiring's layers, each used as often as there.

    Models inside the traced one are flattened, and a final softmax that the wiring leaves out
    is gone. dtype: the policy of every layer; the input is of the type that it computes in.
    """
    compute = keras.dtype_policies.get(dtype).compute_dtype
    values = [keras.Input(wiring.input_shape, name="input", dtype=compute)]
    copies: dict[tuple[int, bool], keras.layers.Layer] = {}
    names = {"input"}
    for call in wiring.calls:
        key = (id(call.layer), call.bare)
        is_new = key not in copies
        if is_new:
            copies[key] = _copy(call, _unused(_full_name(call), names), dtype)
        inputs = [values[i] for i in call.inputs]
        values.append(copies[key](inputs if call.takes_list else inputs[0]))
        if is_new:  # built by its first call
            _move_state(call.layer, copies[key])
    return keras.Model(values[0], values[wiring.output], name=name)


def _copy(call: LayerCall, name: str, dtype: str) -> keras.layers.Layer:
    config = {**call.layer.get_config(), "name": name, "dtype": dtype}
    if call.bare:
        config["activation"] = "linear"
    return type(call.layer).from_config(config)


def _move_state(layer: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies a layer's variables by its own saving, which also renews values derived from them."""
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
