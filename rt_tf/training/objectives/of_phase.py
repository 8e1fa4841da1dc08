"""The objective of a phase, from its settings."""

from collections.abc import Mapping
from typing import Any

from rt_tf import catalogue
from rt_tf.attacks.judging import Start
from rt_tf.catalogue.training import POINT_TERMS
from rt_tf.threats.region import Threat
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, PointTerm, Trades
from rt_tf.training.objectives.regularisers import L1, L2, Regulariser, ReluStability, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase
from rt_tf.training.phases import Phase


def objective(phase: Phase, threat: Threat, bounds: Mapping[str, Any]) -> Objective:
    """The objective of a phase. bounds: settings of bound methods by name."""
    return Objective(
        threat,
        _point(phase),
        _worst_case(phase, bounds),
        _regularisers(phase),
        phase.mixup,
        bound_only=phase.kappa == phase.kappa_from == 1.0,
    )


def _point(phase: Phase) -> PointTerm:
    if phase.attack == "none":
        return Clean()
    if phase.attack in POINT_TERMS:
        return catalogue.resolve("point_term", phase.attack)(phase)
    settings = {"steps": phase.attack_steps, "step_size": phase.attack_step_size}
    attack, start = catalogue.attack(phase.attack, settings), _start(phase)
    if phase.trades_beta:
        return Trades(attack, phase.trades_beta, start)
    has_loss = phase.attack_loss != "ce"
    loss = catalogue.resolve("loss", phase.attack_loss) if has_loss else None
    return Attacked(attack, start, loss)


def _start(phase: Phase) -> Start | None:
    """The start of a phase's attacks; None for their end on the batch before."""
    name = phase.attack_start
    return None if name == "previous" else catalogue.resolve("start", name)


def _worst_case(phase: Phase, bounds: Mapping[str, Any]) -> WorstCase | None:
    if phase.bound == "none":
        return None
    settings = {name: value for name, value in bounds.items() if name != "seed"}
    return WorstCase(
        catalogue.bound(phase.bound, settings),
        draws="seed" in catalogue.find("bound", phase.bound).options,
        samples=phase.bound_samples,
        ratio=phase.bound_ratio,
    )


def _regularisers(phase: Phase) -> list[Regulariser]:
    terms: list[Regulariser] = []
    if phase.l1:
        terms.append(L1(phase.l1))
    if phase.l2:
        terms.append(L2(phase.l2))
    if phase.relu_stability:
        terms.append(ReluStability(phase.relu_stability))
    if phase.warmup_regularizer:
        terms.append(WarmUp(phase.warmup_regularizer, phase.eps))
    return terms
