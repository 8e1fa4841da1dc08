"""The library's objects from flags: data, network, phases, optimizer, loop settings."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from pipelines.build import refusals
from pipelines.flags.evaluation import threat_settings
from pipelines.flags.read_phases import read_phases
from rt_tf import catalogue, data, models
from rt_tf.attacks.run import Attack
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.evaluation import refusals as evaluation_refusals
from rt_tf.threats.region import Threat
from rt_tf.training.loop.average import Average
from rt_tf.training.loop.state import LoopSettings
from rt_tf.training.phases import Phase

MOMENTUM = 0.9  # sgd's default
STATISTICS = 2**28  # the most pixel values that statistics are computed from


def prepare_tensorflow(seed: int = 0, deterministic: bool = False) -> None:
    """Seeds everything; certificates need full float32 products, so TF32 is off."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def strategy(name: str, jit_compile: bool) -> tf.distribute.Strategy:
    """The distribution strategy. Mirrored: all GPUs, or else all logical CPUs."""
    if name == "default":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU")
    reduction = None if devices else tf.distribute.ReductionToOneDevice()
    names = [device.name for device in devices or tf.config.list_logical_devices("CPU")]
    refusals.refuse_jit(name, jit_compile, names)
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


def load_data(values: flags.FlagValues) -> data.DataSet:
    """The run's data set, its images in the domain of the network's input."""
    return data.load(
        values.dataset,
        values.data_dir,
        values.validation,
        values.seed,
        values.download,
        domain(values),
    )


def domain(values: flags.FlagValues) -> Domain:
    """The domain of the network's input."""
    return UNIT if values.input_range in (None, [0.0, 1.0]) else Domain(*values.input_range)


def threat(values: flags.FlagValues) -> Threat:
    """The run's threat; UserError for a radius outside its range."""
    result = catalogue.threat(values.threat, threat_settings(values))
    evaluation_refusals.check_radius(result, values.epsilon, "epsilon", domain(values))
    return result


def network_maker(values: flags.FlagValues, dataset: data.DataSet) -> Callable[[], keras.Model]:
    """A function that makes the network of a run under the dtype policy of the moment."""
    normalization = _statistics(dataset.train) if values.normalization == "dataset" else None

    def make() -> keras.Model:
        return models.build(
            values.model,
            dataset.shape,
            dataset.classes,
            normalization=normalization,
            batch_norm=values.batch_norm,
            init=values.init,
            scale=values.model_scale,
        )

    return make


def under_policy(policy: str, make: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    """A function that makes the same network under a dtype policy."""

    def make_under_policy() -> keras.Model:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return make()
        finally:
            keras.config.set_dtype_policy(before)

    return make_under_policy


def phases(values: flags.FlagValues, threat: Threat) -> list[Phase]:
    """The phases that the flags describe; UserError for settings unfit for the threat or XLA."""
    result = read_phases(values)
    evaluation_refusals.refuse_other_threats(values.eval_attack, threat)
    several = any(phase.new_member for phase in result[1:])
    evaluation_refusals.refuse_attack_on_members(values.eval_attack, several)
    evaluation_refusals.refuse_start("eval_start", values.eval_start, threat)
    if threat.has_support:
        for bound in (monitored_name(values.monitor_bound, result), *values.rungs):
            evaluation_refusals.refuse_unanswered(bound, threat)
    for phase in result:
        evaluation_refusals.refuse_other_threats(phase.attack, threat)
        evaluation_refusals.check_radius(threat, phase.eps, "train_epsilon", domain(values))
        if phase.eps_from:
            evaluation_refusals.check_radius(threat, phase.eps_from, "epsilon_from", domain(values))
        evaluation_refusals.refuse_unanswered(phase.bound, threat)
        refusals.refuse_unbounded(phase, threat, values.monitor_bound)
        evaluation_refusals.refuse_start("attack_start", phase.attack_start, threat)
        refusals.refuse_regions(phase, threat)
        if values.jit_compile:
            refusals.refuse_dynamic(phase, threat)
    return result


def optimizer_maker(values: flags.FlagValues) -> Callable[[], keras.optimizers.Optimizer]:
    """A function that makes a new optimizer, which scales the loss under mixed_float16."""
    decay = values.weight_decay or None
    momentum = MOMENTUM if values.momentum is None else values.momentum

    def make() -> keras.optimizers.Optimizer:
        if values.optimizer == "adam":
            optimizer: Any = keras.optimizers.Adam(1e-3, weight_decay=decay)
        else:
            optimizer = keras.optimizers.SGD(
                1e-3, momentum=momentum, nesterov=values.nesterov, weight_decay=decay
            )
        if values.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    return make


def average(values: flags.FlagValues, make: Callable[[], keras.Model]) -> Average | None:
    """The average of the weights of a network that `make` makes; None without `--ema`."""
    return Average(under_policy("float32", make)(), values.ema) if values.ema else None


def settings(values: flags.FlagValues, phases: list[Phase]) -> LoopSettings:
    """The loop's settings."""
    return LoopSettings(
        batch_size=values.batch_size,
        seed=values.seed,
        select_by=selection(values, phases),
        monitor_every=values.monitor_every,
        monitor_samples=values.monitor_samples,
        checkpoint_seconds=values.checkpoint_seconds,
        jit_compile=values.jit_compile,
        clip_norm=values.clip_norm,
        stable_tolerance=values.stable_tolerance,
        augmentation=data.AugmentationOptions(values.augment, values.cutout),
    )


def monitored_bound(
    name: str, phases: list[Phase], threat: Threat, settings: dict[str, Any]
) -> Any:
    """The bound by which training is monitored; None for none."""
    name = monitored_name(name, phases)
    return None if name == "none" or not threat.has_support else catalogue.bound(name, settings)


def monitored_name(name: str, phases: list[Phase]) -> str:
    """The name of the monitored bound; auto: the last phase's, else the cheapest.

    For a bound that certifies nothing, it is the one that certifies in its place.
    """
    if name == "none":
        return name
    if name == "auto":
        name = "interval" if phases[-1].bound == "none" else phases[-1].bound
    return catalogue.find("bound", name).certified_by or name


def monitored_attack(threat: Threat, steps: int) -> Attack | None:
    """The attack by which training is monitored; None without steps."""
    name = "msd" if threat.name == "union" else "pgd"
    return catalogue.attack(name, {"steps": steps}) if steps else None


def selection(values: flags.FlagValues, phases: list[Phase]) -> str:
    """The quantity by which weights are selected; UserError if it is not monitored."""
    by = trained_for(phases) if values.select_by == "auto" else values.select_by
    refuse_unwatched("select_by", by, values)
    return by


def trained_for(phases: list[Phase]) -> str:
    """The accuracy that training aims at."""
    attacked = "attacked" if phases[-1].attack != "none" else "clean"
    return "verified" if phases[-1].bound != "none" else attacked


def refuse_unwatched(flag: str, by: str, values: flags.FlagValues) -> None:
    """Raises UserError for a quantity that is not monitored."""
    why = {
        "attacked": "--monitor_attack_steps=0" if not values.monitor_attack_steps else "",
        "verified": _unverified(values),
    }.get(by)
    if why:
        raise UserError(
            f"{flag}: expected a quantity that is monitored; received '{by}' with {why}"
        )


def _unverified(values: flags.FlagValues) -> str:
    """The flag that leaves evaluations without verified accuracy; empty if none does."""
    if values.monitor_bound == "none":
        return "--monitor_bound=none"
    return "" if threat(values).has_support else f"--threat={values.threat}"


def _statistics(train: data.Split) -> tuple[list[float], list[float]]:
    """The mean and standard deviation of each channel, over at most STATISTICS pixel values."""
    shape = train.pixels.shape[1:]
    count = min(len(train), STATISTICS // math.prod(shape))
    train = train.select(np.linspace(0, len(train) - 1, count, dtype=np.int64))
    pixels = len(train) * shape[0] * shape[1]
    mean = sum(x.sum((0, 1, 2), np.float64) for x in train.portions()) / pixels
    squares = sum(np.square(x - mean).sum((0, 1, 2), np.float64) for x in train.portions())
    return mean.tolist(), np.sqrt(squares / pixels).tolist()
