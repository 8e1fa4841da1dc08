"""An evaluation by attacks: a suite or one attack at its questions, curves over the radius."""

import dataclasses
import math
from collections.abc import Sequence

from rt_tf.catalogue.suites import QUICK, SUITES, Budget
from rt_tf.errors import UserError
from rt_tf.evaluation import cascades
from rt_tf.evaluation.attacking import Attacker, TransferSource
from rt_tf.evaluation.estimate import AttackPlan, announce
from rt_tf.evaluation.preflight import warnings_of
from rt_tf.evaluation.refusals import (
    refuse_inputs,
    refuse_loss,
    refuse_other_threats,
    refuse_start,
    unfit,
)
from rt_tf.evaluation.subject import Subject
from rt_tf.notes import write_notes
from rt_tf.progress import Progress
from rt_tf.records.record_file import RecordFile
from rt_tf.threats.union import Union

# A curve's radii in units of eps: some below, and from there on growing until nothing is left.
BELOW = (0.25, 0.5, 0.75)
GROWTH = 1.4


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """Settings of an evaluation by attacks.

    suite: by name; else the attack of `budget`. is_named: whether the user has chosen that attack;
    if not, a cascade replaces it. loss_is_named: whether the user has chosen the budget's loss,
    which then must be of use. prefix: of the names of these settings in messages. samples: first
    examples of the test split; 0: all. to_zero: whether to attack at growing radii, too, until no
    example withstands, on `curve_samples`; suites always do. sources: networks on which points are
    made that are tried on the subject.
    """

    suite: str | None = None
    budget: Budget = QUICK
    is_named: bool = True
    loss_is_named: bool = False
    prefix: str = ""
    samples: int = 0
    to_zero: bool = False
    curve_samples: int = 100
    seed: int = 0
    sources: Sequence[TransferSource] = ()


class Evaluation:
    """Attacks a subject by a suite, or by one attack."""

    def __init__(
        self,
        subject: Subject,
        radii: Sequence[float],
        settings: EvaluationSettings,
        progress: Progress,
    ) -> None:
        self.subject = subject
        self.settings = settings
        self.progress = progress
        self.samples = subject.count(settings.samples)
        self.plans = self._plans(radii)
        self.attackers: dict[tuple[object, ...], Attacker] = {}

    def run(self) -> None:
        """Tries every attack of every plan, on the examples without a record."""
        warnings = warnings_of(self.subject, self.progress)
        announce(self.plans, self.samples, len(self.settings.sources), self.progress)
        attacks = {}
        for plan in self.plans:
            records = self.attack(plan)
            name = records[0].path.parent.name
            attacks[name] = [file.header["id"] for file in records]
            if self._draws_curves:
                self._curve(plan)
        if self.settings.suite:
            self._note(attacks, warnings)

    @property
    def _draws_curves(self) -> bool:
        """Whether this process draws curves. Of several, the first does: each ends at its zero."""
        first = self.subject.part is None or self.subject.part[0] == 1
        return first and (self.settings.suite is not None or self.settings.to_zero)

    def _plans(self, radii: Sequence[float]) -> list[AttackPlan]:
        cascades.refuse_threat(self.subject)
        if not self.settings.suite:
            budget = self._fitting_budget()
            return [AttackPlan(self.subject, eps, [budget]) for eps in radii]
        suite = SUITES[self.settings.suite]
        parts = parts_of(self.subject) if suite.by_part else [(self.subject, eps) for eps in radii]
        budgets = (*suite.budgets, *cascades.added(self.subject))
        return [AttackPlan(subject, eps, self._fitting(budgets, subject)) for subject, eps in parts]

    def _fitting(self, budgets: Sequence[Budget], subject: Subject) -> list[Budget]:
        """The budgets of a suite for a threat, without those that the inputs do not fit."""
        threat, wiring = subject.threat.name, subject.wiring
        fitting = []
        for budget in (budget for budget in budgets if budget.is_for(threat)):
            why = unfit(budget.attack, threat, wiring.input_shape, wiring.domain)
            if why:
                self.progress.say(f"left out: {budget.attack}, which {why}")
            else:
                fitting.append(budget)
        return fitting

    def _fitting_budget(self) -> Budget:
        """The settings' budget as it fits the subject; UserError for settings of no use to it."""
        chosen, prefix, threat = self.settings.budget, self.settings.prefix, self.subject.threat
        is_named = self.settings.is_named
        budget = cascades.fitting(chosen, is_named, self.subject, self.progress, prefix)
        if self.settings.loss_is_named:
            refuse_loss(f"{prefix}loss", budget.attack, chosen.loss)
        refuse_other_threats(f"{prefix}attack", budget.attack, threat)
        wiring = self.subject.wiring
        refuse_inputs(f"{prefix}attack", budget.attack, threat, wiring.input_shape, wiring.domain)
        refuse_start(f"{prefix}start", budget.start, threat)
        return budget

    def attack(self, plan: AttackPlan) -> list[RecordFile]:
        """Tries the attacks of one plan; returns the record file of each."""
        tries: list[tuple[Budget, TransferSource | None]] = [
            (budget, None) for budget in plan.budgets
        ]
        transfer = cascades.transferable(self._plain(plan))
        tries += [(transfer, source) for source in self.settings.sources]
        return [
            self._attack_by(plan, budget, plan.eps, self.samples, source)
            for budget, source in tries
        ]

    def _plain(self, plan: AttackPlan) -> Budget:
        """The attack of an evaluation's accuracy-eps curves, and of its transfers."""
        return QUICK if self.settings.suite else plan.budgets[0]

    def _curve(self, plan: AttackPlan) -> None:
        """Attacks a few examples at smaller radii, and at growing ones until none withstands.

        They are of all parts, as one part of one: other processes may be at work on this table.
        Those attack them at the plan's own radius.
        """
        shared, budget = plan.subject.part is not None, self._plain(plan)
        if shared:
            plan = plan._replace(subject=plan.subject._replace(part=(1, 1)))
        samples = min(self.settings.curve_samples, self.samples)
        for share in BELOW:
            self._attack_by(plan, budget, _rounded(share * plan.eps), samples)
        eps, largest = plan.eps, _unbounded(plan.subject)
        eps = _rounded(GROWTH * eps) if shared else eps
        while True:
            records = self._attack_by(plan, budget, min(eps, largest), samples)
            none_withstands = records.rows and all(row["success"] for row in records.rows)
            if eps >= largest or none_withstands:
                return
            eps = _rounded(GROWTH * eps)

    def _attack_by(
        self,
        plan: AttackPlan,
        budget: Budget,
        eps: float,
        samples: int,
        source: TransferSource | None = None,
    ) -> RecordFile:
        subject = plan.subject
        key = (subject.threat.name, subject.part, budget, source and source.name)
        if key not in self.attackers:
            self.attackers[key] = Attacker(subject, budget, self.settings.seed, source)
        return self.attackers[key].attack(eps, samples, self.progress)

    def _note(self, attacks: dict[str, list[str]], warnings: list[str]) -> None:
        """Writes the questions, attacks and warnings of the suite, beside the records."""
        note = {
            "suite": self.settings.suite,
            "samples": self.samples,
            "questions": list(attacks),
            "attacks": attacks,
            "warnings": warnings,
        }
        write_notes(self.subject.records / f"suite-{self.settings.suite}.json", note)


def _rounded(eps: float) -> float:
    """A radius of a curve, rounded to six digits."""
    return float(f"{eps:.6g}")


def _unbounded(subject: Subject) -> float:
    """The radius that reaches all of the domain from every image, or the largest there is."""
    threat, pixels = subject.threat, math.prod(subject.wiring.input_shape)
    width = subject.wiring.domain.width if threat.has_support else 1.0
    return width * min(threat.largest, threat.spread(pixels) or threat.largest)


def parts_of(subject: Subject) -> list[tuple[Subject, float]]:
    """The balls of a union, each as a subject of its own, with its radius."""
    if subject.is_cascade:
        raise UserError(
            "suite: expected one on the whole region for a cascade, whose answers are certified "
            "there; received one on the union's balls"
        )
    if not isinstance(subject.threat, Union):
        raise UserError(
            f"threat: expected --threat=union for this suite; received {subject.threat.name}"
        )
    return [(subject._replace(threat=ball), radius) for ball, radius in subject.threat.parts]
