"""An evaluation: which attacks are run on which questions, and what is left of the images."""

import math
from collections.abc import Sequence

from absl import flags
from rich.console import Console

from pipelines.build import system
from pipelines.build.refusals import refuse_loss, refuse_other_threats, refuse_start
from pipelines.flags.evaluation import attack_group
from pipelines.flags.run import run_flags
from pipelines.runs.directory import RunDirectory
from pipelines.runs.subject import LoadedRun, load_network
from pipelines.stages import cascades
from pipelines.stages.attacking import Attacker, AttackPlan, Source
from pipelines.stages.estimate import announce, warned
from rt_tf import models
from rt_tf.catalogue.suites import QUICK, SUITES, Budget
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.notes import write_notes
from rt_tf.records.record_file import RecordFile
from rt_tf.threats.union import Union

# A curve's radii in units of eps: some below, and from there on growing until nothing is left.
BELOW = (0.25, 0.5, 0.75)
GROWTH = 1.4


class Evaluation:
    """Attacks a run's network by a suite, or by the one attack that the flags describe."""

    def __init__(
        self,
        subject: LoadedRun,
        radii: Sequence[float],
        values: flags.FlagValues,
        screen: Console,
    ) -> None:
        self.subject = subject
        self.values = values
        self.screen = screen
        self.samples = min(values.samples or len(subject.test), len(subject.test))
        self.sources = [_source(path, subject) for path in values.transfer_from or ()]
        self.questions = self._questions(radii)
        self.attackers: dict[tuple[str, Budget, str | None], Attacker] = {}

    def run(self) -> None:
        """Tries every attack on every question, as far as that was not done before."""
        warnings = warned(self.subject, self.screen)
        announce(self.questions, self.samples, len(self.sources), self.screen)
        told = {}
        for question in self.questions:
            records = self._attack(question)
            name = records[0].path.parent.name
            told[name] = [file.header["id"] for file in records]
            if self.values.suite or self.values.curve_to_zero:
                self._curve(question)
        if self.values.suite:
            self._note(told, warnings)

    def _questions(self, radii: Sequence[float]) -> list[AttackPlan]:
        cascades.refuse_threat(self.subject)
        if not self.values.suite:
            budget = cascades.single(self.values, self.subject, self.screen)
            refuse_other_threats(budget.attack, self.subject.threat)
            refuse_start("eval_start", budget.start, self.subject.threat)
            if self.values["eval_loss"].present:
                refuse_loss(budget.attack, self.values.eval_loss)
            return [AttackPlan(self.subject, eps, [budget]) for eps in radii]
        for name in attack_group(flags.FlagValues()).names:
            if self.values[name].present:
                raise UserError(
                    f"{name}: expected none with --suite, which has attacks of its own; received "
                    f"--{name}={self.values[name].value}"
                )
        suite = SUITES[self.values.suite]
        asked = _parts(self.subject) if suite.by_part else [(self.subject, eps) for eps in radii]
        budgets = (*suite.budgets, *cascades.added(self.subject))
        return [
            AttackPlan(subject, eps, [b for b in budgets if b.is_for(subject.threat.name)])
            for subject, eps in asked
        ]

    def _attack(self, question: AttackPlan) -> list[RecordFile]:
        tries: list[tuple[Budget, Source | None]] = [(b, None) for b in question.budgets]
        tries += [(cascades.elsewhere(self._plain(question)), source) for source in self.sources]
        return [
            self._ask(question, budget, question.eps, self.samples, source)
            for budget, source in tries
        ]

    def _plain(self, question: AttackPlan) -> Budget:
        """The attack of an evaluation's accuracy-eps curves, and of its transfers."""
        return QUICK if self.values.suite else question.budgets[0]

    def _curve(self, question: AttackPlan) -> None:
        """A few examples at smaller radii, and at growing ones until none of them withstands."""
        budget = self._plain(question)
        samples = min(self.values.curve_samples, self.samples)
        for share in BELOW:
            self._ask(question, budget, _rounded(share * question.eps), samples)
        eps, largest = question.eps, _unbounded(question.subject)
        while True:
            records = self._ask(question, budget, min(eps, largest), samples)
            if eps >= largest or all(row["success"] for row in records.rows):
                return
            eps = _rounded(GROWTH * eps)

    def _ask(
        self,
        question: AttackPlan,
        budget: Budget,
        eps: float,
        samples: int,
        source: Source | None = None,
    ) -> RecordFile:
        key = (question.subject.threat.name, budget, source and source.name)
        if key not in self.attackers:
            self.attackers[key] = Attacker(question.subject, budget, self.values.seed, source)
        return self.attackers[key].attack(eps, samples, self.screen)

    def _note(self, told: dict[str, list[str]], warnings: list[str]) -> None:
        """What belongs to the suite, beside the records."""
        note = {
            "suite": self.values.suite,
            "samples": self.samples,
            "questions": list(told),
            "attacks": told,
            "warnings": warnings,
        }
        write_notes(self.subject.run.records / f"suite-{self.values.suite}.json", note)


def _rounded(eps: float) -> float:
    """A radius of a curve, in six digits; those that are asked for are taken as they are."""
    return float(f"{eps:.6g}")


def _unbounded(subject: LoadedRun) -> float:
    """A radius at which there is no bound left, or the largest there is."""
    threat, pixels = subject.threat, math.prod(subject.wiring.input_shape)
    width = subject.wiring.domain.width if threat.has_support else 1.0
    return width * min(threat.largest, threat.spread(pixels) or threat.largest)


def _parts(subject: LoadedRun) -> list[tuple[LoadedRun, float]]:
    """The balls of the union, each as a question of its own."""
    if subject.is_cascade:
        raise UserError(
            "suite: expected one of the whole region for a cascade, which answers by its "
            "certificates for that; received one of the union's parts"
        )
    if not isinstance(subject.threat, Union):
        raise UserError(
            f"threat: expected --threat=union for this suite; received {subject.threat.name}"
        )
    return [(subject._replace(threat=ball), radius) for ball, radius in subject.threat.parts]


def _source(path: str, subject: LoadedRun) -> Source:
    """Another run's network; UserError where it is not there or takes other images."""
    run = RunDirectory(path)
    if not run.has_network():
        raise UserError(f"transfer_from: expected folders of finished runs; received {path}")
    wiring, own = trace(models.members(load_network(run))[0]), subject.wiring
    domain = system.domain(run_flags(run.frozen()))
    if domain.config() != own.domain.config():
        raise UserError(
            f"transfer_from: expected networks of inputs in {own.domain}; {path} has {domain}"
        )
    if wiring.input_shape != own.input_shape or wiring.classes != own.classes:
        raise UserError(
            f"transfer_from: expected networks of {own.input_shape} images and {own.classes} "
            f"classes; {path} has {wiring.input_shape} and {wiring.classes}"
        )
    return Source(run.path.name, wiring.lower())
