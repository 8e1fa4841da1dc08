"""The members of a cascade: each is trained on what the ones before it do not certify.

Source: Wong 2020 (thesis), algorithm 4, whose filter must keep the uncertified examples.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from rt_tf import models
from rt_tf.data import Split
from rt_tf.network.trace import trace
from rt_tf.training.checkpoints import save_network
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Phase


class Members:
    """Where the networks of a run are kept. Without a cascade there is one, `best/network.keras`.

    monitor: its bound at its radius says what is certified.
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
        """Which member a phase trains, from 1 on."""
        return 1 + sum(later.new_member for later in self.phases[1 : phase + 1])

    def ends(self, phase: int) -> bool:
        """Whether a phase is the last one of its member."""
        return phase == len(self.phases) - 1 or self.phases[phase + 1].new_member

    def path(self, phase: int) -> Path:
        """Where the network that a phase trains is kept."""
        best = self.directory / "best"
        return best / (f"member-{self.number(phase)}.keras" if self.several else "network.keras")

    def left_open(self, splits: dict[str, Split], phase: int) -> dict[str, Split]:
        """What no member before the one of this phase certifies."""
        for network in self._finished(phase):
            monitor = self.monitor.of(trace(network))
            splits = {
                name: split.select(np.flatnonzero(~monitor.verified(split)))
                for name, split in splits.items()
            }
        return splits

    def unite(self) -> None:
        """Writes the cascade of all members, where there are several."""
        if self.several:
            members = self._finished(len(self.phases))
            save_network(models.cascade(members), self.directory / "best" / "network.keras")

    def _finished(self, phase: int) -> list[keras.Model]:
        """The members before the one of this phase; of those without examples there is none."""
        ends = [k for k in range(min(phase, len(self.phases))) if self.ends(k)]
        paths = [self.path(k) for k in ends] if self.several else []
        return [keras.models.load_model(path) for path in paths if path.exists()]
