"""Deciding a property of a network of a file within a time limit."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rt_tf.certify.decision import Verdict, decider
from rt_tf.certify.exclusion import Search
from rt_tf.certify.input_splitting import InputSplitting
from rt_tf.certify.unit_splitting import UnitSplitting
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.interchange import onnx_file as networks
from rt_tf.interchange import results as formats
from rt_tf.interchange import vnnlib_file as properties


class Clock:
    """Time up to a moment of `time.monotonic`."""

    def __init__(self, end: float) -> None:
        self.end = end

    def left(self) -> float:
        """Seconds that are left; negative once they are over."""
        return self.end - time.monotonic()


def verify(
    onnx_file: Path, vnnlib_file: Path, results: Path | None, clock: Clock, seed: int = 0
) -> None:
    """Decides and answers, on the screen and in a result file.

    What is being computed when the time is over is not waited for: the process ends there.
    """
    alarm = _alarm(clock, lambda: _answer(Verdict("timeout", "the time limit"), results))
    try:
        verdict = decided(onnx_file, vnnlib_file, clock, seed)
    finally:
        alarm.cancel()
    _answer(verdict, results)


def decided(onnx_file: Path, vnnlib_file: Path, clock: Clock, seed: int = 0) -> Verdict:
    """The verdict on the properties of a file. UserError for files that cannot be read."""
    asked = properties.read(vnnlib_file)
    network = networks.read(onnx_file)
    return decider(network, asked, clock.left, complete_searches(), seed).decide(asked)


def complete_searches() -> dict[str, Search]:
    """What is asked in turn about clauses that the bounds leave open."""
    return {"input_splitting": InputSplitting(), "branch_and_bound": UnitSplitting()}


def _alarm(clock: Clock, answer: Callable[[], None]) -> threading.Timer:
    def end() -> None:
        status = 2
        try:
            answer()
            status = 0
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(status)

    timer = threading.Timer(max(0.0, clock.left()), end)
    timer.daemon = True
    timer.start()
    return timer


def _answer(verdict: Verdict, results: Path | None) -> None:
    found = verdict.counterexample
    text = formats.text(verdict.answer, *(found or ()))
    print(f"{verdict.answer} ({verdict.by})", flush=True)
    if results is not None:
        try:
            write_text(results, text)
        except OSError as error:
            raise UserError(
                f"results_file: expected a file that can be written; {results}: {error}"
            ) from error
