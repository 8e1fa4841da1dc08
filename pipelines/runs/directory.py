"""A run's directory: its flags, lock, state and facts."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from absl import flags

from pipelines.flags.evaluation import FILES
from pipelines.flags.run import EVALUATION, FIXED, OPERATIONAL, defaults, run_flags, same
from pipelines.runs import frozen_flags
from pipelines.runs.locks import Lock, hold, is_at, is_free
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.folders import settle, writable
from rt_tf.notes import read_notes, write_notes

# See rt_tf.files and rt_tf.training.loop.checkpoints.save_network; of folders, rt_tf.folders.
HALF_WRITTEN = (
    "**/.*.tmp",
    "best/.rt_tf-partial.*",
    "good/.rt_tf-partial.*",
    "served/.*.rt_tf-partial",
)
REWRITTEN = ("export", "proofs")
STAGES = ("train", "export", "certify", "attack", "report")  # of a run, in order


class RunDirectory:
    """The files and folders of a run, and the stages that are done."""

    def __init__(self, path: str | Path) -> None:
        self.path = writable(path, "model_dir")
        self.lock = self.path / "lock"
        self.flags = self.path / "flags.cfg"
        self.history = self.path / "history.jsonl"
        self.network = self.path / "best" / "network.keras"
        self.records = self.path / "records"
        self.export = self.path / "export"
        self.served = self.path / "served"
        self.logs = self.path / "logs"

    @contextlib.contextmanager
    def locked(self, shared: bool = False) -> Iterator["Lock"]:
        """Holds the run within the block; UserError if another process does.

        A killed process holds nothing. shared: whether processes that each work on a part of the
        run may hold it together. If no run is begun within the block, the lock is removed again,
        and the directory if it is new.
        """
        with self._hold(shared) as file:
            if self.flags.exists() and not shared:
                self._sweep()
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            try:
                yield Lock(file)
            finally:
                if not self.flags.exists():
                    self._remove(file)

    @contextlib.contextmanager
    def holding(self, part: str) -> Iterator[None]:
        """Holds one of several parts, `1of4`, of a shared run within the block; nothing for "".

        UserError if another process holds it, or one of another number of parts. Of two that begin
        at once with different numbers, one at least is refused.
        """
        if not part:
            yield
            return
        lock = self.path / f"lock-{part}"
        file = hold(lock, lambda: lock.open("a+"))
        if file is None:
            raise _part_taken(lock)
        with file:
            try:
                self._refuse_other_parts(part)
                yield
            finally:
                lock.unlink()

    def _refuse_other_parts(self, part: str) -> None:
        """Raises UserError while a process works on one of another number of parts."""
        for path in self.path.glob("lock-*of*"):
            if path.name.split("of")[1] != part.split("of")[1] and not is_free(path):
                raise _part_taken(path)

    def compare(self, flags: dict[str, str], accept_changes: bool, acceptable: bool = True) -> bool:
        """Whether any flag that matters differs from those that the run was begun with.

        accept_changes: whether the user accepts changes; acceptable: whether that is possible.
        UserError for a change that is not accepted or not possible, and for a directory that is no
        run's.
        """
        self.refuse_foreign()
        if self.flags.exists():
            before = self.frozen()
            self._refuse_adopted(before)
            # A flag that is younger than the run counts as its default, since defaults keep the
            # meaning that runs had before.
            before = {name: text for name, text in defaults().items() if name in flags} | before
            changed = [
                name
                for name in {**before, **flags}
                if name not in OPERATIONAL and not same(name, before.get(name), flags.get(name))
            ]
            if changed and not accept_changes:
                or_else = ", or --accept_changed_flags to go on with the new ones"
                raise UserError(
                    f"flags: {self.path} is a run with other flags: "
                    f"{differences(changed, before, flags)}; use another --model_dir"
                    f"{or_else if acceptable else ''}"
                )
            self._refuse_impossible(changed, before, flags)
            return bool(changed)
        return False

    def refuse_foreign(self) -> None:
        """Raises UserError for a directory that holds other things than a run."""
        if self.path.is_dir() and not self.flags.exists() and self._others():
            raise UserError(
                f"model_dir: expected an empty directory or a run's; {self.path} holds "
                f"{', '.join(self._others()[:5])} and no flags.cfg"
            )

    def _refuse_adopted(self, before: dict[str, str]) -> None:
        """Raises UserError for a run around a network from a file, which is not trained."""
        for name in set(FILES) & set(before):
            raise UserError(
                f"model_dir: expected a new directory or that of a training run; {self.path} is "
                f"around the network of {before[name]}; use another --model_dir"
            )

    def _refuse_impossible(
        self, changed: list[str], before: dict[str, str], flags: dict[str, str]
    ) -> None:
        """Raises UserError for changes of weights that are trained, or of their data."""
        trained = "train" in self.done()
        late = [n for n in changed if n in FIXED or (trained and n not in EVALUATION)]
        if late:
            state = "has been trained" if trained else "was begun"
            raise UserError(
                f"flags: {self.path} {state} with other flags that shape its weights: "
                f"{differences(late, before, flags)}; use another --model_dir"
            )

    def freeze(self, flags: dict[str, str]) -> None:
        """Writes the run's flags, as a flag file."""
        write_text(self.flags, frozen_flags.write(flags))
        if not self.facts().get("checksums"):
            self.note(checksums=True)

    def frozen(self) -> dict[str, str]:
        """The run's flags as text; UserError if this is no run, or its flag file was changed."""
        if not self.flags.exists():
            raise UserError(
                f"model_dir: expected a directory of a run, with a flags.cfg; received {self.path}"
            )
        return frozen_flags.read(self.flags, checked=bool(self.facts().get("checksums")))

    def done(self) -> dict[str, Any]:
        """The notes of each finished stage, by stage."""
        return self._read("state.json")

    def has_network(self) -> bool:
        """Whether the run's network is there: trained, or adopted from a file and exported."""
        return not {"train", "given"}.isdisjoint(self.done())

    def finish(self, stage: str, **notes: Any) -> None:
        """Notes that a stage is done."""
        self._write("state.json", {**self.done(), stage: notes})

    def reopen(self, stages: list[str]) -> None:
        """Notes that stages must be done again."""
        self._write("state.json", {k: v for k, v in self.done().items() if k not in stages})

    def facts(self) -> dict[str, Any]:
        """The facts of the run (run.json), for its report."""
        return self._read("run.json")

    def note(self, **facts: Any) -> None:
        """Adds facts to run.json."""
        self._write("run.json", {**self.facts(), **facts})

    def _hold(self, shared: bool) -> TextIO:
        """Takes the run's lock; UserError if another process holds it."""
        file = hold(self.lock, self._lock_file, shared)
        if file is None:
            raise UserError(
                f"model_dir: expected a run that nobody is working on; {self.path} is held by "
                f"process {self._holder() or 'unknown'}"
            )
        return file

    def _holder(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self.lock.read_text().strip()
        return ""

    def _lock_file(self) -> TextIO:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return self.lock.open("a+")
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(
                f"model_dir: expected a directory to write to; received {self.path}: "
                f"{error.strerror}"
            ) from None

    def _sweep(self) -> None:
        """Removes half-written files of a killed process."""
        for pattern in HALF_WRITTEN:
            for path in self.path.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in REWRITTEN:
            settle(self.path / name)

    def _remove(self, lock: TextIO) -> None:
        """Removes a lock that nobody shares, and the directory if it is empty then."""
        if Lock(lock).take() and is_at(lock, self.lock):
            self.lock.unlink()
            with contextlib.suppress(OSError):  # it holds something, or another process is there
                self.path.rmdir()

    def _others(self) -> list[str]:
        return sorted(p.name for p in self.path.iterdir() if p.name != "lock")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            return read_notes(path) if path.exists() else {}
        except UserError as error:
            raise UserError(f"model_dir: {error}") from error

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_notes(self.path / name, content)


def _part_taken(lock: Path) -> UserError:
    return UserError(
        f"slice: expected a part that nobody is working on, with the n of other processes' k/n; "
        f"another process works on {lock.name.removeprefix('lock-')}"
    )


def differences(names: list[str], before: dict[str, str], now: dict[str, str]) -> str:
    """The changes of flags in words: the values before and now."""
    rows = [f"--{n} was {before.get(n, 'unset')}, is now {now.get(n, 'unset')}" for n in names]
    return "; ".join(rows)


def trained_flags(model_dir: str | None) -> flags.FlagValues:
    """The flags that an existing run was trained with; UserError if there is no such run."""
    if not model_dir:
        raise UserError("model_dir: expected --model_dir=<folder of a finished run>; received none")
    run = RunDirectory(model_dir)
    try:
        return run_flags(run.frozen())
    except flags.Error as error:
        raise UserError(f"model_dir: {run.flags} is not a run's: {error}") from error
