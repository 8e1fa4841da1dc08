"""The attack on a whole cascade: to a point at which it answers a wrong label.

Such a point lies deep in the wrong class: all members up to one answer it, and that one certifies
it in the whole ball around the point. Climbing the first member's loss leads there by chance alone.
"""

from collections.abc import Callable

import tensorflow as tf

from rt_tf.attacks.ascent import chosen, loop_until_done, skip_empty_batch
from rt_tf.attacks.gradient.apgd import apgd
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.gradient.refutation import Refutation, assent
from rt_tf.attacks.judging import AttackOutcome
from rt_tf.attacks.targets import RIVALS, rivals
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor

Climb = Callable[[Task, Tensor], Tensor]
Search = Callable[[Refutation, Tensor, Tensor], AttackOutcome]  # task, start, targets [batch]


def cascade_attack(
    task: Task, start: Tensor, steps: int, step_size: float = 0.0, classes: int = RIVALS
) -> Tensor:
    """Points answered wrongly, by example, else those of the plain attack: [batch, ...].

    From the plain attack's points on, towards the likeliest wrong classes in turn and for every
    member that might answer them: first to where the members up to it agree, and from there, if
    it is reached, to where that member certifies. steps: of each climb. step_size: the plain
    attack's. UserError unless the task is a `Refutation`.
    """
    _refuse_others(task)

    def climb(some: Task, x: Tensor) -> Tensor:
        if some.region.threat.name == "union":
            return skip_empty_batch(pgd)(some, x, steps=steps, early_stop=True)
        return apgd(some, x, steps=steps)

    def step(some: Task, i: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        assert isinstance(some, Refutation)
        x, targets = carried
        result = search(some.restart(i), x, targets[:, i])
        return [chosen(result.success, result.x, x), targets], result.success

    search = _answering(climb, 1)
    x, targets = pgd(task, start, steps, step_size), rivals(task, classes)
    rest = tf.where(~task.errs_at(x))[:, 0]
    carried = [tf.gather(x, rest), tf.gather(targets, rest)]
    points = loop_until_done(task.take(rest), carried, targets.shape[1], step)[0]
    return tf.tensor_scatter_nd_update(x, rest[:, None], points)


def _answering(climb: Climb, number: int) -> Search:
    """A search for points that a cascade answers with `targets` by member `number` or later."""

    def search(task: Refutation, x: Tensor, targets: Tensor) -> AttackOutcome:
        agreed = assent(task, targets, number, certified=False)
        x = climb(agreed, x)
        return _where(agreed.errs_at(x), certifying, task, x, targets)

    def certifying(task: Refutation, x: Tensor, targets: Tensor) -> AttackOutcome:
        wanted = assent(task, targets, number, certified=True)
        points = climb(wanted, x)
        success = tf.reduce_min(wanted.logits(points), axis=1) > 0.0
        x = chosen(success, points, x)
        if number == len(task.members):
            return AttackOutcome(success, x)
        later = _where(~success, _answering(climb, number + 1), task, x, targets)
        return AttackOutcome(success | later.success, later.x)

    return search


def _where(
    mask: Tensor, search: Search, task: Refutation, x: Tensor, targets: Tensor
) -> AttackOutcome:
    """The result of a search for the examples of a mask [batch]; the others keep x."""
    rows = tf.where(mask)[:, 0]

    def searched() -> tuple[Tensor, Tensor]:
        result = search(task.take(rows), tf.gather(x, rows), tf.gather(targets, rows))
        place = rows[:, None]
        success = tf.scatter_nd(place, result.success, tf.shape(mask, tf.int64))
        return success, tf.tensor_scatter_nd_update(x, place, result.x)

    nothing = tf.zeros_like(mask)
    return AttackOutcome(*tf.cond(tf.reduce_any(mask), searched, lambda: (nothing, x)))


def _refuse_others(task: Task) -> None:
    if not isinstance(task, Refutation):
        raise UserError(
            "cascade attack: expected the task of refuting a cascade, "
            f"rt_tf.attacks.gradient.refutation.Refutation; received a {type(task).__name__}"
        )
