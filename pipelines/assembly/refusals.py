"""Refusals of settings that do not go together: a line each, before anything is computed."""

from collections.abc import Sequence

from rt_tf import catalogue
from rt_tf.catalogue.attacks import NORMS
from rt_tf.catalogue.bounds import RECOMPUTE
from rt_tf.errors import UserError
from rt_tf.threats.region import Threat
from rt_tf.training.phases import Phase


def refuse_jit(strategy: str, jit_compile: bool, replicas: int, kind: str) -> None:
    """Raises UserError for XLA over several replicas, which this TensorFlow cannot compile.

    kind: of the replicas, `devices` or `processes`.
    """
    if jit_compile and replicas > 1:
        raise UserError(
            f"jit_compile: expected false with --strategy={strategy} on {replicas} {kind}; "
            "received true"
        )


def refuse_recompute(phases: Sequence[Phase], recompute: bool) -> None:
    """Raises UserError where no phase has a bound whose passes gradients could compute again."""
    fit = [name for name, entry in catalogue.BOUNDS.items() if RECOMPUTE in entry.options]
    bounds = list(dict.fromkeys(phase.bound for phase in phases))
    if recompute and not set(bounds).intersection(fit):
        raise UserError(
            f"bound_recompute: expected false, or a phase with --bound={' or '.join(fit)}; "
            f"received true with --bound={','.join(bounds)}"
        )


def refuse_unbounded(phase: Phase, threat: Threat, monitor_bound: str) -> None:
    """Raises UserError for members of a cascade where no bound certifies anything."""
    if phase.new_member and monitor_bound == "none":
        raise UserError(
            "monitor_bound: expected a bound, whose certificates decide what another member of a "
            "cascade learns; received none"
        )
    if phase.new_member and not threat.has_support:
        raise UserError(
            f"new_member: expected false for {threat.name}, for which no bound certifies what "
            "another member need not learn; received true"
        )


def refuse_few_classes(flag: str, loss: str, classes: int) -> None:
    """Raises UserError for a loss that compares the three highest logits where there are fewer."""
    if loss == "dlr" and classes < 3:
        raise UserError(
            f"{flag}: expected another loss than dlr, which needs 3 classes; received {loss} for "
            f"{classes}"
        )


def refuse_dynamic(phase: Phase, threat: Threat) -> None:
    """Raises UserError for choices at run time and draws of Gamma, which XLA cannot compile."""
    fit = [name for name, entry in catalogue.BOUNDS.items() if threat.name in entry.static]
    if phase.bound not in ("none", *fit):
        raise UserError(
            f"jit_compile: expected false, or a bound that XLA can compile for {threat.name} "
            f"({', '.join(fit) or 'there is none'}); received --bound={phase.bound}"
        )
    if phase.attack == "latent":
        raise UserError(
            "jit_compile: expected false, or an attack that XLA can compile; received "
            "--attack=latent"
        )
    if phase.mixup:
        raise UserError(f"jit_compile: expected false with --mixup={phase.mixup:g}; received true")


def refuse_regions(phase: Phase, threat: Threat) -> None:
    """Raises UserError for settings that need the region of a threat to be of another form."""
    if phase.bound_ratio < 1.0 and threat.name not in NORMS:
        raise UserError(
            f"bound_ratio: expected 1 for {threat.name}, whose regions contain no smaller ones "
            f"around other points; received {phase.bound_ratio:g}; less is for {', '.join(NORMS)}"
        )
    wide = phase.relu_stability or phase.warmup_regularizer
    if wide and not threat.has_support:
        raise UserError(
            f"relu_stability and warmup_regularizer: expected 0 for {threat.name}, to which no "
            f"bound answers; received {phase.relu_stability:g} and {phase.warmup_regularizer:g}"
        )
