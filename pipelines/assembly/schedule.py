"""The threat and the phases of a run, from flags."""

from absl import flags

from pipelines.assembly import inputs, monitoring, refusals
from pipelines.flags.read_phases import read_phases
from rt_tf.evaluation import refusals as evaluation_refusals
from rt_tf.threats.region import Threat
from rt_tf.training.phases import Phase


def phases(values: flags.FlagValues, threat: Threat) -> list[Phase]:
    """The phases that the flags describe; UserError for settings unfit for the threat or XLA."""
    result = read_phases(values)
    evaluation_refusals.refuse_other_threats("eval_attack", values.eval_attack, threat)
    several = any(phase.new_member for phase in result[1:])
    evaluation_refusals.refuse_attack_on_members("eval_attack", values.eval_attack, several)
    evaluation_refusals.refuse_start("eval_start", values.eval_start, threat)
    if threat.has_support:
        for bound in (monitoring.monitored_name(values.monitor_bound, result), *values.rungs):
            evaluation_refusals.refuse_unanswered(bound, threat)
    for phase in result:
        evaluation_refusals.refuse_other_threats("attack", phase.attack, threat)
        evaluation_refusals.check_radius(
            threat, phase.eps, "train_epsilon", inputs.stated_domain(values)
        )
        if phase.eps_from:
            evaluation_refusals.check_radius(
                threat, phase.eps_from, "epsilon_from", inputs.stated_domain(values)
            )
        evaluation_refusals.refuse_unanswered(phase.bound, threat)
        refusals.refuse_unbounded(phase, threat, values.monitor_bound)
        evaluation_refusals.refuse_start("attack_start", phase.attack_start, threat)
        refusals.refuse_regions(phase, threat)
        if values.jit_compile:
            refusals.refuse_dynamic(phase, threat)
    return result
