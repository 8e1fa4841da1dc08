"""Numbers in users' settings: any other value is refused in a line that names the setting."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rt_tf import models, numbers
from rt_tf.attacks.gradient import interval
from rt_tf.errors import UserError
from rt_tf.threats.union import Union
from rt_tf.threats.wasserstein.ball import Wasserstein
from rt_tf.training.systems import phase_of

WRONG = ["many", None, float("nan"), float("inf"), [1.0, 2.0], True, 1 + 1j, b"3", -1.0, 1e39]
SETTINGS: dict[str, Callable[[Any], Any]] = {
    "p": lambda value: Wasserstein(p=value),
    "size": lambda value: Wasserstein(size=value),
    "weight": lambda value: Wasserstein(weight=value),
    "tolerance": lambda value: Wasserstein(tolerance=value),
    "iterations": lambda value: Wasserstein(iterations=value),
    "model_scale": lambda value: models.build("digits_fc", (8, 8, 1), 10, scale=value),
    "first": interval.radii,
    "epochs": lambda value: phase_of("shi", 0.1, "none" if value is None else value),
    "radii": lambda value: Union((0.1, value, 1.0)),
}


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_no_number_in_range_is_refused_by_its_name(name: str, wrong: Any) -> None:
    with pytest.raises(UserError, match=f"^(threat wasserstein: )?{name}: expected [^\n]*$"):
        SETTINGS[name](wrong)


def test_numbers_of_any_type_are_taken() -> None:
    for value in (2, 2.0, np.float32(2), np.int64(2), np.array(2.0)):
        assert numbers.above_0("weight", value) == 2.0
        assert numbers.whole("epochs", value, 1) == 2
    assert numbers.above_0("weight", 1e-45) > 0.0
