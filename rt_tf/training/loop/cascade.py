"""The members of a cascade: each is trained on the examples that those before do not certify.

Source: Wong 2020 (thesis), algorithm 4, whose filter must keep the uncertified examples.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from rt_tf import models
from rt_tf.data import Split
from rt_tf.network.trace import trace
from rt_tf.notes import read_notes, write_notes
from rt_tf.training.loop.checkpoints import save_network
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Phase


class CascadeMembers:
    """The files of a run's networks; without a cascade there is one, `best/network.keras`.

    monitor: its bound, at its radius, certifies.
    """

    def __init__(self, directory: Path, phases: Sequence[Phase], monitor: Monitor) -> None:
        self.directory = directory
        self.phases = phases
        self.monitor = monitor

    @property
    def several(self) -> bool:
        """Whether the run makes a cascade."""
        return any(phase.new_member for phase in self.phases[1:])

    def number(self, phase: int) -> int:
        """The number of the member that a phase trains, from 1 on."""
        return 1 + sum(later.new_member for later in self.phases[1 : phase + 1])

    def ends(self, phase: int) -> bool:
        """Whether a phase is the last one of its member."""
        return phase == len(self.phases) - 1 or self.phases[phase + 1].new_member

    def path(self, phase: int) -> Path:
        """The file of the network that a phase trains."""
        best = self.directory / "best"
        return best / (f"member-{self.number(phase)}.keras" if self.several else "network.keras")

    def left_open(self, splits: dict[str, Split], phase: int) -> dict[str, Split]:
        """The splits' examples that no member before this phase's certifies, right or wrong."""
        for path in self._finished(phase):
            rows = _read(path) or self._judge(path, splits)
            splits = {name: split.select(rows[name]) for name, split in splits.items()}
        return splits

    def _judge(self, path: Path, splits: dict[str, Split]) -> dict[str, np.ndarray]:
        """The positions that a member leaves open, by split.

        They are kept beside the member, since a resumed run needs the same ones.
        """
        monitor = self.monitor.of(
            trace(keras.models.load_model(path), domain=self.monitor.wiring.domain)
        )
        rows = {name: np.flatnonzero(~monitor.certified(split)) for name, split in splits.items()}
        write_notes(_beside(path), {name: positions.tolist() for name, positions in rows.items()})
        return rows

    def forget(self, phase: int) -> None:
        """Removes the open positions of a phase's member, which may be from before a resume."""
        _beside(self.path(phase)).unlink(missing_ok=True)

    def unite(self) -> None:
        """Writes the cascade of all members, where there are several."""
        if self.several:
            members = [keras.models.load_model(path) for path in self._finished(len(self.phases))]
            save_network(models.cascade(members), self.directory / "best" / "network.keras")

    def _finished(self, phase: int) -> list[Path]:
        """The files of the members before this phase's; a member without examples has none."""
        ends = [k for k in range(min(phase, len(self.phases))) if self.ends(k)]
        paths = [self.path(k) for k in ends] if self.several else []
        return [path for path in paths if path.exists()]


def _beside(path: Path) -> Path:
    return path.with_suffix(".open.json")


def _read(path: Path) -> dict[str, np.ndarray] | None:
    if not _beside(path).exists():
        return None
    return {
        name: np.array(positions, np.int64) for name, positions in read_notes(_beside(path)).items()
    }
