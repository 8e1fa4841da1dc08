"""A Keras model whose methods refuse in one line what they cannot take."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.training import intake


class RefusingModel(keras.Model):
    """Raises UserError from `fit`, `evaluate` and their likes, where Keras has long tracebacks.

    A subclass says in `check_arguments` what it refuses before a method of Keras runs; assertions
    of `intake` within a step end in a UserError, too. `tests`: whether an evaluation is running.
    """

    tests = False

    def check_arguments(self, arguments: dict[str, Any]) -> None:
        """Raises UserError for arguments that are refused. arguments: by name."""
        raise NotImplementedError

    def fit(self, *args: Any, **options: Any) -> keras.callbacks.History:
        """Trains as in Keras; UserError for examples that training cannot take."""
        with self._refusals():
            self._check_data(super().fit, args, options)
            return super().fit(*args, **options)

    def evaluate(self, *args: Any, **options: Any) -> Any:
        """Evaluates as in Keras: the objective at inference, the metrics, and `verified`."""
        with self._refusals(), self._testing():
            self._check_data(super().evaluate, args, options)
            return super().evaluate(*args, **options)

    def train_on_batch(self, *args: Any, **options: Any) -> Any:
        """Trains on a batch as in Keras; UserError for examples that training cannot take."""
        with self._refusals():
            self._check_data(super().train_on_batch, args, options)
            return super().train_on_batch(*args, **options)

    def test_on_batch(self, *args: Any, **options: Any) -> Any:
        """Evaluates on a batch as in Keras; see `evaluate`."""
        with self._refusals(), self._testing():
            self._check_data(super().test_on_batch, args, options)
            return super().test_on_batch(*args, **options)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Makes refusals errors of one line, and drops functions that were half traced by then."""
        try:
            with intake.in_one_line():
                yield
        except UserError:
            self.train_function = self.test_function = None
            raise

    @contextlib.contextmanager
    def _testing(self) -> Iterator[None]:
        self.tests = True
        try:
            yield
        finally:
            self.tests = False

    def _check_data(
        self, method: Callable[..., Any], places: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        self.check_arguments(inspect.signature(method).bind(*places, **options).arguments)
