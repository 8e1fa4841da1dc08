"""The settings of evaluations, from flags."""

from collections.abc import Sequence

from absl import flags

from pipelines.flags.evaluation import attack_group, bound_settings, eval_budget
from rt_tf.errors import UserError
from rt_tf.evaluation.attacking import TransferSource
from rt_tf.evaluation.certified_radii import RadiusSettings
from rt_tf.evaluation.certifying import CertifySettings
from rt_tf.evaluation.suites import EvaluationSettings


def certify_settings(values: flags.FlagValues) -> CertifySettings:
    """Settings of certification, from the flags of `pipelines.certify` or of a training run."""
    return CertifySettings(
        rungs=values.rungs,
        bounds=bound_settings(values),
        time_limit=values.time_limit,
        memory=values.bound_memory or None,
    )


def radius_settings(values: flags.FlagValues) -> RadiusSettings:
    """Settings of the search for certified radii, from the flags of `pipelines.radius`."""
    return RadiusSettings(values.rungs, values.tolerance, bound_settings(values), values.samples)


def evaluation_settings(
    values: flags.FlagValues, sources: Sequence[TransferSource]
) -> EvaluationSettings:
    """Settings of an evaluation by attacks, from the flags of `pipelines.evaluate`.

    sources: networks of other runs. UserError for flags that the suite would ignore.
    """
    if values.suite:
        _refuse_attack_flags(values)
    return EvaluationSettings(
        suite=values.suite,
        budget=eval_budget(values),
        is_named=values["eval_attack"].present,
        loss_is_named=values["eval_loss"].present,
        prefix="eval_",
        samples=values.samples,
        to_zero=values.curve_to_zero,
        curve_samples=values.curve_samples,
        seed=values.seed,
        sources=sources,
    )


def _refuse_attack_flags(values: flags.FlagValues) -> None:
    for name in attack_group(flags.FlagValues()).names:
        if values[name].present:
            raise UserError(
                f"{name}: expected none with --suite, which has attacks of its own; received "
                f"--{name}={values[name].value}"
            )
