"""Fixtures of the tests of certificates."""

from collections.abc import Iterator

import pytest
import tensorflow as tf


@pytest.fixture
def full_precision() -> Iterator[None]:
    """Switches TF32 off, which is on by default, as TensorFlow has it, and puts it back."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)
