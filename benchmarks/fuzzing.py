"""Readers of files, given damaged ones: each is to read them, or to say in a line why not.

    python -m benchmarks.fuzzing --run=<a finished run> [--minutes=10] [--keep=<folder>] [names ...]

Whole files, most of them the run's, are changed at random: bits, pieces that are left out, repeated
or exchanged, texts that tempt readers of numbers. An answer is well, and so is a refusal of ours.
Any other error, the end of the process, and more than LONGEST seconds are findings, which are kept
with their files. Every reader is tried in a process of its own, for so many minutes.
"""

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table

from rt_tf.errors import UserError

LONGEST = 20  # seconds
PIECE = 200  # bytes of a piece that is moved, at most
TEMPTING: tuple[bytes, ...] = (
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"9" * 40,
    b"0",
    b'"',
    b"((",
    b"))",
    b"\x00",
    b"\xff",
)
TEMPTING += (b"{", b"[", b"--", b"\n", b"\\", b"\x80" * 9)
PROPERTY = """; a property of one input and two outputs
(declare-const X_0 Real)
(declare-const Y_0 Real)
(declare-const Y_1 Real)
(assert (>= X_0 -0.5))
(assert (<= X_0 1.25e-1))
(assert (or (and (<= Y_0 Y_1) (>= Y_1 0.0)) (and (>= Y_0 2))))
"""


class Subject(NamedTuple):
    """A reader, and whole files for it."""

    read: Callable[[Path], object]
    files: list[Path]


def _flags(run: Path, folder: Path) -> Subject:
    from absl import flags

    from pipelines.flags import parsing
    from pipelines.flags import run as ours
    from pipelines.flags.flag_files import CONFIGS

    def read(path: Path) -> None:
        values = flags.FlagValues()
        parsing.parse(["x", f"--flagfile={path}"], ours.training_groups(values), "")

    return Subject(read, [run / "flags.cfg", *sorted(CONFIGS.glob("digits/*.cfg"))])


def _frozen(run: Path, folder: Path) -> Subject:
    from pipelines.flags.run import run_flags
    from pipelines.runs import frozen_flags

    def read(path: Path) -> None:
        run_flags(frozen_flags.read(path, checked=True))

    return Subject(read, [run / "flags.cfg"])


def _records(run: Path, folder: Path) -> Subject:
    from rt_tf.records import record_file

    return Subject(record_file.read, sorted(run.glob("records/*/certify*.jsonl")))


def _notes(run: Path, folder: Path) -> Subject:
    from rt_tf.notes import read_notes

    return Subject(read_notes, [run / "run.json", run / "state.json"])


def _networks(run: Path, folder: Path) -> Subject:
    from rt_tf.checker import network

    return Subject(network.load, [run / "proofs" / "network.npz"])


def _proofs(run: Path, folder: Path) -> Subject:
    from rt_tf.checker import network, proofs

    own = network.load(run / "proofs" / "network.npz")
    return Subject(lambda path: proofs.load(path, own), sorted(run.glob("proofs/*/*.npz")))


def _keras(run: Path, folder: Path) -> Subject:
    from pipelines.runs import keras_file

    return Subject(keras_file.read, [run / "best" / "network.keras"])


def _onnx(run: Path, folder: Path) -> Subject:
    from onnx import TensorProto, checker, helper, save

    from rt_tf.interchange import onnx_file

    kernel = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1.0, -1.0, -1.0, 1.0])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, folder / "net.onnx")
    return Subject(onnx_file.read, [folder / "net.onnx"])


def _vnnlib(run: Path, folder: Path) -> Subject:
    from rt_tf.interchange import vnnlib_file

    (folder / "property.vnnlib").write_text(PROPERTY)
    return Subject(vnnlib_file.read, [folder / "property.vnnlib"])


def _npz(run: Path, folder: Path) -> Subject:
    from rt_tf.data.sources import npz
    from rt_tf.data.sources.source import Reading

    draw = np.random.default_rng(0)
    rows, labels = draw.integers(0, 256, (20, 3, 3, 1), np.uint8), draw.integers(0, 2, 20)
    np.savez(folder / "images.npz", images=rows, labels=labels, classes=np.array(["a", "b"]))
    np.savez_compressed(folder / "rows.npz", images=rows.reshape(20, 9) / 255.0, labels=labels)
    reading = Reading(cache_dir=str(folder))
    return Subject(lambda path: npz.read(str(path), reading), sorted(folder.glob("*.npz")))


def _extra(run: Path, folder: Path) -> Subject:
    from rt_tf import data

    digits = data.load("digits", folder)
    rows, labels = digits.train.rows[:20], digits.train.labels[:20]
    np.savez(folder / "extra.npz", images=rows, labels=labels)
    return Subject(lambda path: data.read_extra(path, digits), [folder / "extra.npz"])


def _counterexamples(run: Path, folder: Path) -> Subject:
    from rt_tf.reporting import counterexamples

    np.save(folder / "image.npy", np.zeros((8, 8, 1), np.float32))
    return Subject(
        lambda path: counterexamples.stored_image(path, (8, 8, 1)), [folder / "image.npy"]
    )


READERS: dict[str, Callable[[Path, Path], Subject]] = {
    "flag files": _flags,
    "frozen flags": _frozen,
    "records": _records,
    "notes": _notes,
    "networks of proofs": _networks,
    "proofs": _proofs,
    "keras files": _keras,
    "data": _npz,
    "extra data": _extra,
    "counterexamples": _counterexamples,
    "onnx files": _onnx,
    "properties": _vnnlib,
}


def changed(data: bytes, draw: random.Random) -> bytes:
    """Data with one to four changes."""
    for _ in range(draw.randint(1, 4)):
        data = _changed_once(data, draw)
    return data


def _changed_once(data: bytes, draw: random.Random) -> bytes:
    begin, other = draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)
    end = min(len(data), begin + draw.randint(0, PIECE))
    before, piece, after = data[:begin], data[begin:end], data[end:]
    tempting = draw.choice(TEMPTING)
    ways = (
        before + bytes([draw.randrange(256)]) + data[begin + 1 :],
        before + after,
        before + piece + piece + after,
        data[:other] + piece + data[other:],
        before + tempting + piece + after,
        before + tempting + after,
        before,
    )
    return draw.choice(ways)


def try_reader(
    name: str, run: Path, folder: Path, seed: int, seconds: float, most: float = math.inf
) -> None:
    """Gives a reader changed files until the time is over; ends with a traceback at a finding.

    most: the number of files, at most.
    The file `folder`/attempts has the number of those before, and the name of the file at hand.
    """
    own = Path(tempfile.mkdtemp(dir=folder))
    subject, draw = READERS[name](run, own), random.Random(seed)
    refusals = _refusals()
    whole = [path.read_bytes() for path in subject.files]
    end, attempts = time.monotonic() + seconds, 0
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    while time.monotonic() < end and attempts < most:
        number = draw.randrange(len(whole))
        file = own / f"attempt{subject.files[number].suffix}"
        file.write_bytes(changed(whole[number], draw))
        (folder / "attempts").write_text(f"{attempts} {file}")
        signal.alarm(LONGEST)
        try:
            subject.read(file)
        except refusals:
            pass
        except Exception:
            print(f"{attempts} {file}", flush=True)
            print(traceback.format_exc()[-3000:], flush=True)
            sys.exit(1)
        finally:
            signal.alarm(0)
        attempts += 1
    (folder / "attempts").write_text(f"{attempts} ")


def _refusals() -> tuple[type[BaseException], ...]:
    """The errors that refuse a file: of users' mistakes, of the checker and of records."""
    from rt_tf.checker.malformed import MalformedError
    from rt_tf.records.consistency import Inconsistent

    return UserError, SystemExit, MalformedError, Inconsistent


class Findings(NamedTuple):
    """The number of attempts on a reader, and what was found: the last line of each, and a file."""

    attempts: int
    found: list[str]


def fuzz(name: str, run: Path, minutes: float, keep: Path, most: float = math.inf) -> Findings:
    """Tries a reader for so many minutes, in processes that begin anew after each finding.

    most: the number of files, at most.
    """
    end, attempts, seed = time.monotonic() + 60.0 * minutes, 0, 0
    found: list[str] = []
    while (left := end - time.monotonic()) > 1.0 and attempts < most:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "benchmarks.fuzzing", "--worker", f"--run={run}"]
            words += [f"--minutes={left / 60.0}", f"--folder={folder}", f"--seed={seed}", name]
            words += [f"--most={most - attempts}"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            count, _, file = (Path(folder) / "attempts").read_text().partition(" ")
            attempts += int(count) + (1 if done.returncode else 0)
            if done.returncode:
                why = (done.stdout.strip().splitlines() or [f"status {done.returncode}"])[-1]
                kept = keep / f"{name.replace(' ', '-')}-{len(found)}{Path(file).suffix}"
                kept.write_bytes(Path(file).read_bytes())
                found.append(f"{why} ({kept})")
        seed += 1
    return Findings(attempts, found)


def table(results: dict[str, Findings]) -> Table:
    """A row for each reader."""
    shown = Table("reader", "attempts", "findings", "the first")
    for name, (attempts, found) in results.items():
        shown.add_row(name, f"{attempts:,}", str(len(found)), found[0] if found else "")
    return shown


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *READERS], help="readers; all by default")
    parser.add_argument("--run", type=Path, required=True, help="a finished run with proofs")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each reader")
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="a folder for findings")
    parser.add_argument("--worker", action="store_true", help="try one reader, in this process")
    parser.add_argument("--most", type=float, default=math.inf, help="files for each reader")
    parser.add_argument("--folder", type=Path, help="of --worker")
    parser.add_argument("--seed", type=int, default=0, help="of --worker")
    arguments = parser.parse_args()
    if arguments.worker:
        name, seconds = arguments.names[0], 60.0 * arguments.minutes
        run, folder = arguments.run, arguments.folder
        try_reader(name, run, folder, arguments.seed, seconds, arguments.most)
        return
    arguments.keep.mkdir(parents=True, exist_ok=True)
    names = arguments.names or list(READERS)
    run, minutes, keep = arguments.run, arguments.minutes, arguments.keep
    results = {name: fuzz(name, run, minutes, keep, arguments.most) for name in names}
    Console(width=160).print(table(results))
    if any(found for _, found in results.values()):
        sys.exit("there are findings")


if __name__ == "__main__":
    main()
