"""Attacks by transfer: points from one network, success on another."""

import dataclasses
from typing import Any

from rt_tf.attacks.judging import Attack
from rt_tf.attacks.task import Network, Task
from rt_tf.network.ops import Tensor


def transferred(attack: Attack, source: Network) -> Attack:
    """The attack, run on `source`: the task's own network is only the judge.

    An attack that stops early does so where `source` errs, which often transfers less.
    """

    def moved(task: Task, start: Tensor, **settings: Any) -> Tensor:
        return attack(dataclasses.replace(task, network=source), start, **settings)

    return moved
