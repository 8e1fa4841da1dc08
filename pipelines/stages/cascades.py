"""Which attacks a cascade is asked with: one that reads all of its members, where none is named."""

from absl import flags
from rich.console import Console

from pipelines.build.refusals import refuse_attack_on_members, refuse_other_answers
from pipelines.flags.evaluation import eval_budget
from pipelines.runs.subject import LoadedRun
from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import Budget

WHOLE = Budget("cascade", 40, 2)


def single(values: flags.FlagValues, subject: LoadedRun, screen: Console) -> Budget:
    """The attack that the flags describe; that on all members where they name none."""
    budget = eval_budget(values)
    if subject.is_cascade and not values["eval_attack"].present:
        return budget._replace(attack=WHOLE.attack, loss=WHOLE.loss)  # it climbs none
    refuse_attack_on_members(budget.attack, subject.is_cascade)
    tell_weaker(budget, subject, screen)
    return budget


def added(subject: LoadedRun) -> tuple[Budget, ...]:
    """What a suite's attacks lack on a cascade."""
    return (WHOLE,) if subject.is_cascade else ()


def elsewhere(budget: Budget) -> Budget:
    """What is tried on other networks in place of an attack that reads a cascade's members."""
    return budget._replace(attack="pgd") if ATTACKS[budget.attack].cascade else budget


def refuse_threat(subject: LoadedRun) -> None:
    """UserError for a cascade under another threat than its own."""
    if subject.is_cascade:
        refuse_other_answers(subject.threat, subject.run.frozen()["threat"])


def tell_weaker(budget: Budget, subject: LoadedRun, screen: Console) -> None:
    """Says so, where an attack is not the one that tries to refute a cascade's answers."""
    if subject.is_cascade and not ATTACKS[budget.attack].cascade:
        screen.print(
            f"{budget.attack} climbs a cascade's first member alone: --eval_attack={WHOLE.attack} "
            "of pipelines.evaluate tries to refute what it certifies"
        )
