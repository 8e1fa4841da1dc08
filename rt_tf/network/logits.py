"""Networks as networks of logits: what they compute of these at their end is left out."""

import dataclasses

import keras
import numpy as np

from rt_tf.network.activations import ending
from rt_tf.network.wiring import LayerCall, Wiring

L = keras.layers


def to_logits(wiring: Wiring) -> Wiring:
    """Leaves out a softmax at the end, or the sigmoid of one output.

    Be it a layer, an operation, or the last layer's `activation=`. A logarithm of a softmax goes,
    too: it keeps the order of the logits and their differences.
    """
    if not wiring.calls or wiring.output != len(wiring.calls):
        return wiring
    *before, last = wiring.calls
    endings = ("sigmoid",) if wiring.classes == 1 else ("softmax", "log_softmax")
    if (name := ending(last.layer)) in endings or _over_classes(last.layer):
        (source,) = last.inputs
        wiring = dataclasses.replace(wiring, calls=tuple(before), output=source)
    elif (name := ending(getattr(last.layer, "activation", None))) in endings:
        wiring = dataclasses.replace(wiring, calls=(*before, last._replace(bare=True)))
    else:
        return wiring
    left_out = name or "softmax"
    words = left_out.replace("_", "-")
    note = f"layer '{last.layer.name}': its final {words} is left out: bounds are of the logits"
    return dataclasses.replace(wiring, notes=(note,), ending=left_out)


def _over_classes(layer: keras.Operation) -> bool:
    """Whether a layer is a softmax over axis 1, which is that of the classes."""
    axes = layer.axis if isinstance(layer, L.Softmax) else None
    return axes == 1 or (isinstance(axes, list | tuple) and list(axes) == [1])


def of_two_classes(wiring: Wiring) -> Wiring:
    """A wiring of one logit z as one of two classes, whose logits are 0 and z.

    Its margin of either class is the logit, or minus it; their softmax is the logit's sigmoid.
    """
    layer = L.Dense(2, use_bias=False, trainable=False, name="two_classes", dtype="float32")
    layer.build((None, 1))
    layer.set_weights([np.array([[0.0, 1.0]], np.float32)])
    call = LayerCall(layer, (wiring.output,), ((1,),))
    calls = (*wiring.calls, call)
    notes = (
        *wiring.notes,
        "its one logit z is the second of two classes, whose logits are 0 and z",
    )
    return dataclasses.replace(wiring, calls=calls, output=len(calls), classes=2, notes=notes)
