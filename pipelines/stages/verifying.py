"""The answer to a property, on the screen and in a result file, by the time limit at the latest."""

from pathlib import Path
from typing import NamedTuple

from pipelines.console import import_tensorflow
from pipelines.runs.supervised import until
from rt_tf.errors import UserError
from rt_tf.files import write_text


class Answer(NamedTuple):
    """An answer in VNN-COMP's words, the method that decided or the reason, and the result file."""

    word: str
    by: str
    file: str


def verify(
    onnx_file: Path, vnnlib_file: Path, results: Path | None, end: float, seed: int = 0
) -> None:
    """Decides a property, prints the answer and writes it to the file `results`, if there is one.

    end: a moment of `time.monotonic`. All of the work, reading included, is done in a process of
    its own, which ends then at the latest.
    """
    ended = until(end, answer, onnx_file, vnnlib_file, end, seed)
    if ended.late:
        result = without_point("timeout", "the time limit")
    elif ended.signal:  # SIGKILL where the machine has no more memory
        result = without_point("unknown", f"ended by {ended.signal}")
    else:
        result = ended.result
    _tell(result, results)


def answer(onnx_file: Path, vnnlib_file: Path, end: float, seed: int) -> Answer:
    """The answer to a property, computed in this process. end: a moment of `time.monotonic`."""
    import_tensorflow()
    from pipelines.stages.deciding import Clock, decided
    from rt_tf.interchange import results as formats

    verdict = decided(onnx_file, vnnlib_file, Clock(end), seed)
    counterexample = verdict.counterexample or ()
    return Answer(verdict.answer, verdict.by, formats.text(verdict.answer, *counterexample))


def without_point(word: str, by: str) -> Answer:
    """An answer without an input to show."""
    return Answer(word, by, f"{word}\n")


def _tell(result: Answer, results: Path | None) -> None:
    print(f"{result.word} ({result.by})", flush=True)
    if results is not None:
        try:
            write_text(results, result.file)
        except OSError as error:
            raise UserError(
                f"results_file: expected a file that can be written; {results}: {error}"
            ) from error
