"""Robust training for Keras and TensorFlow: train, certify, report, export.

The functions below import what they need when they are first used, and so does this package.
"""

import importlib
import os
from typing import Any

# Read when TensorFlow is first imported. Its own kernels transpose no dilated convolution, which
# bounds need; those of oneDNN do, and are the default on some processors alone.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.2.0"

_PLACES = {
    "certify": "rt_tf.api.certification",
    "certified_radius": "rt_tf.api.certification",
    "certify_outputs": "rt_tf.api.outputs",
    "attack": "rt_tf.api.attacks",
    "fit": "rt_tf.api.training",
    "report": "rt_tf.api.reports",
    "export": "rt_tf.api.reports",
    "load": "rt_tf.api.reports",
    "RobustModel": "rt_tf.training.model",
    "UserError": "rt_tf.errors",
}
__all__ = [*_PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for by name."""
    if name not in _PLACES:
        raise AttributeError(f"module 'rt_tf' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
