"""Operations that are functions of every number by itself."""

from typing import Any

import keras
import numpy as np

from rt_tf.errors import UserError
from rt_tf.network.recipe import Recipe
from rt_tf.network.relaxations import ACTIVATIONS, APPROXIMATE_GELU, FUNCTIONS, clip
from rt_tf.network.softmax import logarithms, normalised
from rt_tf.network.steps import Call, Step

NAMES = {  # of functions without settings, by the class of the operation
    **{name.title(): name for name in FUNCTIONS if name != "abs"},
    **{"HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh"},
    **{"LogSigmoid": "log_sigmoid", "Relu": "relu", "Relu6": "relu6"},
    **{"Selu": "selu", "Sigmoid": "sigmoid", "Silu": "silu", "Softplus": "softplus"},
    **{"Softsign": "softsign", "SparsePlus": "sparse_plus", "SparseSigmoid": "sparse_sigmoid"},
    **{"Tanh": "tanh", "TanhShrink": "tanh_shrink"},
}


def function(operation: keras.Operation, call: Call) -> list[Step]:
    """The step of a function of every number."""
    return [Step((ACTIVATIONS | FUNCTIONS)[NAMES[type(operation).__name__]])]


def gelu(operation: Any, call: Call) -> list[Step]:
    """The step of a Gaussian error linear unit, or of its approximation by tanh."""
    return [Step(APPROXIMATE_GELU if operation.approximate else ACTIVATIONS["gelu"])]


def clipped(operation: Any, call: Call) -> list[Step]:
    """The step of values cut to between two constants; UserError for arrays and tensors."""
    ends = operation.x_min, operation.x_max
    if not all(np.ndim(end) == 0 and not isinstance(end, keras.KerasTensor) for end in ends):
        raise UserError(
            f"operation '{operation.name}': expected two numbers to clip to; received "
            f"{' and '.join(type(end).__name__ for end in ends)}"
        )
    return [Step(clip(*map(float, ends)))]


def softmax(operation: Any, call: Call) -> list[Step]:
    """The steps of a softmax over axes."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    return recipe.steps(normalised(recipe, x, _axes(operation, len(x.shape) + 1)))


def log_softmax(operation: Any, call: Call) -> list[Step]:
    """The steps of the logarithms of a softmax over axes."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    return recipe.steps(logarithms(recipe, x, _axes(operation, len(x.shape) + 1)))


def _axes(operation: Any, rank: int) -> list[int]:
    axes = operation.axis if isinstance(operation.axis, list | tuple) else [operation.axis]
    return [axis % rank - 1 for axis in axes]
