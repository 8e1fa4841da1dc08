"""What an export must agree in with the network it was made of."""

import numpy as np
import pytest

from rt_tf.reporting.export import ParityError, _check_equal

OURS = np.array([1.0, -20.0, np.nan, -np.inf], np.float32)


def test_rounding_and_what_is_not_finite_are_no_differences():
    _check_equal("logits", OURS, OURS * np.float32(1 + 1e-6))
    _check_equal("logits", np.full(3, np.nan), np.full(3, np.nan))
    _check_equal("logits", OURS[:0], OURS[:0])


@pytest.mark.parametrize(("index", "value"), [(0, 1.01), (0, np.nan), (2, 0.0), (3, 5.0)])
def test_differences_are_refused(index, value):
    theirs = OURS.copy()
    theirs[index] = value
    with pytest.raises(ParityError, match="logits differ"):
        _check_equal("logits", OURS, theirs)
