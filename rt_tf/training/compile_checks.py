"""Checks of what a model is compiled with, before Keras, which would ignore some of it."""

from collections.abc import Sequence
from typing import Any

import keras

from rt_tf import numbers
from rt_tf.errors import UserError
from rt_tf.network.wiring import LayerCall
from rt_tf.training import dials
from rt_tf.training.objectives.objective import Objective, Terms

# Names that `fit` and its callbacks report besides a user's metrics.
_REPORTED = (*Terms._fields, "verified", *dials.NAMES)


def refuse_losses(options: dict[str, Any]) -> None:
    """Raises UserError for a loss besides the objective."""
    for name in ("loss", "loss_weights"):
        if options.get(name) is not None:
            raise UserError(f"{name}: expected none: the objective is the loss; received one")


def refuse_names(**metrics: Any) -> None:
    """Raises UserError for metrics that are not listed, and for names that the model reports."""
    for argument, listed in metrics.items():
        if not isinstance(listed or [], list | tuple | dict):
            raise UserError(f"{argument}: expected a list; received {numbers.shown(listed)}")
        taken = {_metric_name(metric) for metric in keras.tree.flatten(listed)} & {*_REPORTED}
        if taken:
            raise UserError(
                f"{argument}: expected names other than {', '.join(_REPORTED)}, which the model "
                f"reports itself; received '{min(taken)}'"
            )


def _metric_name(metric: Any) -> str:
    """The name that Keras gives a metric, in lower case."""
    name = getattr(metric, "name", None) or getattr(metric, "__name__", None)
    return metric if isinstance(metric, str) else str(name).lower()


def check_settings(objective: Any, eps: Any, kappa: Any) -> None:
    """Raises UserError for what is no objective, and for eps or kappa out of range."""
    if not isinstance(objective, Objective):
        raise UserError(f"objective: expected an Objective; received a {type(objective).__name__}")
    for name, value in zip(dials.NAMES, (eps, kappa), strict=True):
        if value is not None:
            dials.checked(name, value)
    dials.refuse_unused(kappa, objective.bound is not None)


def refuse_activity_losses(calls: Sequence[LayerCall]) -> None:
    """Raises UserError for losses of layers' outputs: attacks and bounds call layers many times."""
    for call in calls:
        if getattr(call.layer, "activity_regularizer", None) is not None:
            raise UserError(
                f"layer '{call.layer.name}': expected no activity_regularizer in a network that "
                "is trained robustly; received one; an objective has regularisers"
            )
