"""Which attacks a cascade is asked with: one that reads all of its members, where none is named."""

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import Budget
from rt_tf.evaluation.progress import Progress
from rt_tf.evaluation.refusals import refuse_attack_on_members, refuse_other_answers
from rt_tf.evaluation.subject import Subject

WHOLE = Budget("cascade", 40, 2)


def fitting(budget: Budget, is_named: bool, subject: Subject, progress: Progress) -> Budget:
    """The attack that is asked for; on a cascade that on all members, where none is named."""
    if subject.is_cascade and not is_named:
        return budget._replace(attack=WHOLE.attack, loss=WHOLE.loss)  # it climbs none
    refuse_attack_on_members(budget.attack, subject.is_cascade)
    tell_weaker(budget, subject, progress)
    return budget


def added(subject: Subject) -> tuple[Budget, ...]:
    """What a suite's attacks lack on a cascade."""
    return (WHOLE,) if subject.is_cascade else ()


def elsewhere(budget: Budget) -> Budget:
    """What is tried on other networks in place of an attack that reads a cascade's members."""
    return budget._replace(attack="pgd") if ATTACKS[budget.attack].cascade else budget


def refuse_threat(subject: Subject) -> None:
    """UserError for a cascade under another threat than its own."""
    if subject.is_cascade:
        refuse_other_answers(subject.threat, subject.own_threat)


def tell_weaker(budget: Budget, subject: Subject, progress: Progress) -> None:
    """Says so, where an attack is not the one that tries to refute a cascade's answers."""
    if subject.is_cascade and not ATTACKS[budget.attack].cascade:
        progress.say(
            f"{budget.attack} climbs a cascade's first member alone: --eval_attack={WHOLE.attack} "
            "of pipelines.evaluate tries to refute what it certifies"
        )
