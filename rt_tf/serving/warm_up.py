"""Requests that TensorFlow Serving answers to itself when it loads a SavedModel.

They stand beside it, as a TFRecord file of `PredictionLog` messages. Of these messages
(tensorflow_serving/apis: prediction_log, predict and model.proto) only the fields below are
written, here in Protocol Buffers' own format: their Python classes are no dependency of this
library.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from rt_tf.network.ops import Tensor

FILE = "tf_serving_warmup_requests"  # its name is TensorFlow Serving's

# The numbers of fields.
PREDICT_LOG, REQUEST = 6, 1  # of PredictionLog, and of its PredictLog
MODEL_SPEC, INPUTS = 1, 2  # of PredictRequest
SIGNATURE_NAME = 3  # of ModelSpec
KEY, VALUE = 1, 2  # of an entry of a map

LENGTH_DELIMITED = 2  # the wire type of texts and messages


def write(path: Path, requests: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Writes one request for each signature. requests: tensors of any shape by input's name."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            writer.write(_prediction_log(signature, inputs))


def _prediction_log(signature: str, inputs: Mapping[str, Tensor]) -> bytes:
    request = _field(MODEL_SPEC, _field(SIGNATURE_NAME, signature.encode()))
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(INPUTS, _field(KEY, name.encode()) + _field(VALUE, tensor))
    return _field(PREDICT_LOG, _field(REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
    """A text or a message as a field of the message around it."""
    return bytes([number << 3 | LENGTH_DELIMITED]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first, each but the last with its eighth bit."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
