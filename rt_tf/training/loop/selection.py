"""The choice of the network that a run keeps: the best one so far by a monitored quantity."""

import dataclasses
from collections.abc import Callable

import keras

from rt_tf.errors import UserError
from rt_tf.training.loop.cascade import CascadeMembers
from rt_tf.training.loop.checkpoints import save_network
from rt_tf.training.loop.clock import Clock
from rt_tf.training.monitor import Accuracies


@dataclasses.dataclass(frozen=True)
class Selection:
    """Ranks networks, each by its accuracies at an epoch's end, and keeps one in the run's files.

    by: `clean`, `attacked` or `verified`, or `last` for the latest network. members: the files of
    the networks. network: builds the float32 network that is kept.
    """

    by: str
    members: CascadeMembers
    network: Callable[[], keras.Model]

    def rank(self, accuracies: Accuracies, clock: Clock, last: bool) -> list[float] | None:
        """The rank of a network, to be compared with others'; None if it may not be kept.

        It may once the last phase of its member has ramped up, or ends. UserError for a quantity
        that is not monitored.
        """
        position = clock.position
        whole = clock.ramped or (last and not position.best)
        if not (self.members.ends(position.phase) and whole):
            return None
        value = self._value(accuracies, position.total_steps)
        if value is None:
            raise UserError(
                f"select_by: expected a quantity that is monitored; received '{self.by}', which "
                "needs a bound (verified) or --monitor_attack_steps > 0 (attacked)"
            )
        return [value, accuracies.clean]

    def note(self, rank: list[float], clock: Clock) -> None:
        """Notes in the position that its network is the best so far."""
        position = clock.position
        position.best = rank
        position.selected = {"phase": position.phase, "epoch": clock.epoch, "by": self.by}
        position.selected |= {"step": position.total_steps, "value": rank[0]}

    def keep(self, network: keras.Model, phase: int) -> None:
        """Writes a network as the best so far of the member that a phase trains."""
        self.members.forget(phase)
        kept = self.network()
        kept.set_weights(network.get_weights())
        save_network(kept, self.members.path(phase))

    def _value(self, accuracies: Accuracies, step: int) -> float | None:
        return float(step) if self.by == "last" else getattr(accuracies, self.by)
