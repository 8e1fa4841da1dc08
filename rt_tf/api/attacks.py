"""Attacks from Python: by one method, or by a suite of them."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rt_tf import catalogue
from rt_tf.api.inputs import DEFAULT
from rt_tf.api.subjects import progress_of, subject_of
from rt_tf.catalogue.suites import SUITES, Budget
from rt_tf.domain import Given
from rt_tf.errors import UserError, refuse_unknown
from rt_tf.evaluation.preflight import warnings_of
from rt_tf.evaluation.subject import Subject
from rt_tf.evaluation.suites import Evaluation, EvaluationSettings
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.records.record_file import RecordFile
from rt_tf.reporting.formats import cell
from rt_tf.reporting.statistics import rate

DEFAULTS = Budget("apgd", steps=100, loss="ce")  # as AutoAttack's authors take


@dataclasses.dataclass(frozen=True, eq=False)
class AttackResult:
    """The result of `attack` for n examples.

    threat, eps: of the region. labels: int64 [n]. predictions: int64 [n], the model's classes for
    the images themselves. success: bool [n], whether the model errs at `adversarial` [n, ...],
    which is the nearest counterexample of all attacks, or the image itself where there is none or
    the model errs on it. distances: float64 [n], of the counterexamples, nan where there is none.
    methods: [n], the names of the attacks that gave them, or None. warnings: signs that the attacks
    may mislead.
    """

    threat: str
    eps: float
    labels: np.ndarray
    predictions: np.ndarray
    success: np.ndarray
    adversarial: np.ndarray
    distances: np.ndarray
    methods: np.ndarray
    warnings: list[str]

    @property
    def attacked_accuracy(self) -> float:
        """The share of examples that withstand: an upper bound on the robust accuracy."""
        return float((~self.success).mean())

    @property
    def clean_accuracy(self) -> float:
        """The share of examples whose label the model gives to the image itself."""
        return float((self.predictions == self.labels).mean())

    def __repr__(self) -> str:
        left = f"{int((~self.success).sum()):,} of {len(self.labels):,} examples withstand"
        return f"<AttackResult: {self.threat} {radius_text(self.eps)}, {left}>"

    def summary(self) -> None:
        """Prints how many examples are right, withstand, and are broken by each attack."""
        count = len(self.labels)
        region = f"{self.threat} {radius_text(self.eps)}, {count:,} examples"
        table = Table("examples", "number", "%", title=region)
        rows = {"right": int((self.predictions == self.labels).sum())}
        rows["withstand"] = int((~self.success).sum())
        rows |= {f"  broken by {m}": n for m, n in Counter(m for m in self.methods if m).items()}
        for name, number in rows.items():
            table.add_row(name, f"{number:,}", cell(rate(number, count)))
        Console(markup=False, highlight=False).print(table, *self.warnings, sep="\n")


def attack(
    model: Any,
    images: Any,
    labels: Any = None,
    eps: Any = None,
    *,
    method: str | None = None,
    suite: str | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    step_size: float | None = None,
    start: str | None = None,
    loss: str | None = None,
    seed: int = 0,
    threat: Any = None,
    norm: Any = None,
    domain: Given = DEFAULT,
    path: str | Path | None = None,
    progress: bool | Progress | None = None,
) -> AttackResult:
    """Seeks inputs within a radius that a model gives another class than the label.

    model, images, labels, eps, threat, norm, domain, path, progress: as in `rt_tf.certify`. method:
    a name of `rt_tf.catalogue.ATTACKS`, such as pgd, apgd (by default), fab_t or square. steps,
    restarts: of the method, 100 and 1 by default. step_size: in units of eps; by default, or 0,
    the method's. start, loss: names of `rt_tf.catalogue.STARTS` and `LOSSES`, uniform and ce by
    default. seed: of random starts. suite: a name of `rt_tf.catalogue.suites.SUITES`, such as quick
    or standard (AutoAttack's four and more), in place of a method and its settings.

    UserError, in one line, for what does not fit.

    >>> import keras, numpy as np, rt_tf
    >>> layer = keras.layers.Dense(2, kernel_initializer="identity")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> images = np.float32([[0.9, 0.2], [0.4, 0.5]])
    >>> broken = rt_tf.attack(model, images, eps=0.1, progress=False)
    >>> broken.success.tolist(), broken.attacked_accuracy
    ([False, True], 0.5)
    """
    if eps is None:
        raise UserError("eps: expected a radius, in the units of the images; received none")
    chosen = {"attack": method, "steps": steps, "restarts": restarts, "step_size": step_size}
    chosen |= {"start": start, "loss": loss}
    budget = _budget({name: value for name, value in chosen.items() if value is not None}, suite)
    options = {"threat": threat, "norm": norm, "eps": eps, "domain": domain, "path": path}
    with subject_of(model, images, labels, **options) as (subject, radius):
        shown = progress_of(progress)
        settings = EvaluationSettings(
            suite, budget, loss_is_named=loss is not None, seed=seed, curve_samples=0
        )
        evaluation = Evaluation(subject, [radius], settings, shown)
        warnings = warnings_of(subject, shown)
        records = [file for plan in evaluation.plans for file in evaluation.attack(plan)]
        return _result(subject, radius, records, warnings)


def _budget(chosen: dict[str, Any], suite: str | None) -> Budget:
    """The budget of the chosen settings, by the fields of a `Budget`.

    UserError for names that the catalogue does not have, and for any beside a suite.
    """
    if suite is not None:
        refuse_unknown("suite", suite, SUITES)
        for name in chosen:
            raise UserError(
                f"{'method' if name == 'attack' else name}: expected none with suite={suite!r}, "
                f"which has attacks of its own; received {chosen[name]!r}"
            )
    budget = DEFAULTS._replace(**chosen)
    for kind in ("attack", "start", "loss"):
        catalogue.find(kind, getattr(budget, kind))
    return budget._replace(steps=1) if budget.attack == "fgsm" else budget


def _result(
    subject: Subject, eps: float, records: list[RecordFile], warnings: list[str]
) -> AttackResult:
    test = subject.test
    adversarial = test.images(slice(None)).copy()
    predictions = np.zeros(len(test), np.int64)
    success = np.zeros(len(test), bool)
    distances = np.full(len(test), np.nan)
    methods = np.full(len(test), None, object)
    for file in records:
        for row in file.rows:
            k = row["index"]
            predictions[k], success[k] = row["prediction"], success[k] or row["success"]
            if row["file"] and not row["distance"] >= distances[k]:
                distances[k], methods[k] = row["distance"], file.header["id"]
                adversarial[k] = np.load(file.path.parent / row["file"])
    return AttackResult(
        subject.threat.name,
        eps,
        test.labels,
        predictions,
        success,
        adversarial,
        distances,
        methods,
        warnings,
    )
