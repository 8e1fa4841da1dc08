"""Attacks on a cascade: one that reads all of its members, unless the user names another."""

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import Budget
from rt_tf.command_line import called
from rt_tf.evaluation.refusals import refuse_attack_on_members, refuse_other_answers
from rt_tf.evaluation.subject import Subject
from rt_tf.progress import Progress

WHOLE = Budget("cascade", 40, 2)


def fitting(
    budget: Budget, is_named: bool, subject: Subject, progress: Progress, prefix: str = ""
) -> Budget:
    """The budget to attack a subject with: on a cascade, that of the attack on all members.

    is_named: whether the user has chosen the attack, which then stays. prefix: of the settings'
    names in messages. UserError for an attack on all members of a network that is no cascade.
    """
    if subject.is_cascade and not is_named:
        return budget._replace(attack=WHOLE.attack, loss=WHOLE.loss)  # it climbs no loss
    refuse_attack_on_members(f"{prefix}attack", budget.attack, subject.is_cascade)
    tell_weaker(budget, subject, progress)
    return budget


def added(subject: Subject) -> tuple[Budget, ...]:
    """The budgets that a suite needs besides its own on a cascade; none on another network."""
    return (WHOLE,) if subject.is_cascade else ()


def transferable(budget: Budget) -> Budget:
    """The budget to make points with on other networks: PGD's for an attack on a cascade."""
    return budget._replace(attack="pgd") if ATTACKS[budget.attack].cascade else budget


def refuse_threat(subject: Subject) -> None:
    """Raises UserError for a cascade under another threat than its own."""
    if subject.is_cascade:
        refuse_other_answers(subject.threat, subject.own_threat)


def tell_weaker(budget: Budget, subject: Subject, progress: Progress) -> None:
    """Shows a line if an attack on a cascade is not the one that tries to refute its answers."""
    if subject.is_cascade and not ATTACKS[budget.attack].cascade:
        progress.say(
            f"{budget.attack} climbs a cascade's first member alone: --eval_attack={WHOLE.attack} "
            f"of {called('evaluate')} tries to refute what it certifies"
        )
