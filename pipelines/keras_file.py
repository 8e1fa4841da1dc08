"""A user's .keras file as a network in float32, from pixels to logits."""

import re
from pathlib import Path
from typing import Any

import keras

import rt_tf.models  # noqa: F401 - tells Keras of this library's layers
from rt_tf.errors import UserError
from rt_tf.network.trace import trace

Config = dict[str, Any]
PLAIN = ("Functional", "Sequential")
# What Keras says of a file, by what it has in common with the user's words.
REASONS = (
    (r"Could not locate (?:class|function) '([^']+)'", "the custom object '{0}', unknown here"),
    (r"safe_mode=False", "Python code (a Lambda layer), which is not run from files"),
)


def read(path: Path) -> tuple[keras.Model, list[str]]:
    """The network of a file, and notes on where it differs from the file's.

    Its layers compute in float32, and a final softmax is left out (it keeps the order of the
    logits). UserError for a file that cannot be read and for a network that no bound method can
    interpret.
    """
    network, notes = _plain(_load(path), path)
    _refuse_other_dtypes(network, path)
    return network, notes


def _load(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras and a foreign file make of each other
        raise UserError(f"keras_file: {_reason(path, str(error))}") from error


def _reason(path: Path, text: str) -> str:
    for pattern, told in REASONS:
        if found := re.search(pattern, text):
            holds = told.format(*found.groups())
            return f"expected layers of Keras or rt_tf alone; {path} holds {holds}"
    return f"expected a readable .keras file; {path} is not: {' '.join(text.split())[:200]}"


def _plain(model: keras.Model, path: Path) -> tuple[keras.Model, list[str]]:
    """The float32 copy of a model without its final softmax; the model itself if it is that."""
    config = keras.saving.serialize_keras_object(model)
    if config["class_name"] not in PLAIN:
        return model, []  # `trace` says what is wrong with it
    notes = []
    dtypes = sorted(_to_float32(config, path) - {"float32"})
    if dtypes:
        notes.append(f"this is the float32 copy of a network in {', '.join(dtypes)}")
    if _strip_softmax(_last_layer(config)):
        notes.append("the final softmax is left out: it keeps the order of the logits")
    if not notes:
        return model, notes
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(model.get_weights())
    return copy, notes


def _to_float32(config: Any, path: Path) -> set[str]:
    """Makes float32 of every dtype in a serialised model; returns what they were."""
    found: set[str] = set()
    if isinstance(config, list):
        return found.union(*(_to_float32(item, path) for item in config))
    if isinstance(config, dict):
        if config.get("dtype") is not None:
            found.add(_dtype(config["dtype"], path))
            config["dtype"] = "float32"
        found = found.union(*(_to_float32(item, path) for item in config.values()))
    return found


def _dtype(dtype: str | Config, path: Path) -> str:
    if isinstance(dtype, str):
        return dtype
    if dtype["class_name"] != "DTypePolicy":
        raise UserError(
            "keras_file: expected layers that compute in floating point; "
            f"{path} holds one with a {dtype['class_name']}"
        )
    return str(dtype["config"]["name"])


def _last_layer(config: Config) -> Config:
    """The serialised layer that a serialised model's output comes from."""
    if config["class_name"] not in PLAIN:
        return config
    layers = config["config"]["layers"]
    if config["class_name"] == "Sequential":
        return _last_layer(layers[-1])
    output = config["config"]["output_layers"]
    name = output[0] if isinstance(output[0], str) else output[0][0]
    return _last_layer(next(layer for layer in layers if layer["name"] == name))


def _strip_softmax(layer: Config) -> bool:
    """Makes a final softmax the identity; whether there was one."""
    settings = layer["config"]
    if len(layer.get("inbound_nodes", ())) > 1:  # used elsewhere in the network, too
        return False
    if layer["class_name"] == "Softmax" and settings.get("axis") in (-1, 1):
        same = {"name": settings["name"], "activation": "linear"}
        where = {"module": "keras.layers", "registered_name": None}  # keras.ops has a Softmax, too
        layer |= {"class_name": "Activation", "config": same, **where}
        return True
    softmax = settings.get("activation") == "softmax"
    if softmax:
        settings["activation"] = "linear"
    return softmax


def _refuse_other_dtypes(network: keras.Model, path: Path) -> None:
    if not trace(network).float32:
        raise UserError(f"keras_file: expected layers that compute in float32; {path} holds others")
