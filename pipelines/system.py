"""From flags to the library's objects: data, network, phases, objectives, loop settings."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from pipelines.phases import read_phases
from pipelines.question_flags import threat_settings
from rt_tf import catalogue, data, models
from rt_tf.attacks.judge import Attack, Start
from rt_tf.errors import UserError
from rt_tf.threats.region import Threat
from rt_tf.training.loop import Settings
from rt_tf.training.objective import Objective
from rt_tf.training.phases import Phase


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
    refuse_jit(name, jit_compile, names)
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


def refuse_jit(name: str, jit_compile: bool, devices: list[str]) -> None:
    """UserError for XLA over several devices, which this TensorFlow cannot compile."""
    if jit_compile and len(devices) > 1:
        raise UserError(
            f"jit_compile: expected false with --strategy={name} on {len(devices)} devices; "
            "received true"
        )


def refuse_unanswered(bound: str, threat: Threat) -> None:
    """UserError for a bound that has no answer to the threat."""
    if bound != "none" and not threat.has_support:
        raise UserError(
            f"bound: expected none for {threat.name}, which has no support function; "
            f"received {bound}"
        )
    known = () if bound == "none" else catalogue.find("bound", bound).threats
    if known and threat.name not in known:
        raise UserError(
            f"threat: expected {' or '.join(known)} with --bound={bound}; received {threat.name}"
        )


def refuse_other_threats(attack: str, threat: Threat) -> None:
    """UserError for an attack that is for other threats."""
    known = () if attack == "none" else catalogue.find("attack", attack).threats
    if known and threat.name not in known:
        raise UserError(
            f"attack: expected one for {threat.name} "
            f"({', '.join(catalogue.attacks_on(threat.name))}); received {attack}, which is for "
            f"{' and '.join(known)}"
        )


def refuse_dynamic(bound: str, threat: Threat) -> None:
    """UserError for a bound that XLA cannot compile, since it chooses at run time what to bound."""
    if bound != "none" and threat.name not in catalogue.find("bound", bound).static:
        fit = [name for name, entry in catalogue.BOUNDS.items() if threat.name in entry.static]
        raise UserError(
            f"jit_compile: expected false, or a bound that XLA can compile for {threat.name} "
            f"({', '.join(fit) or 'there is none'}); received --bound={bound}"
        )


def load_data(values: flags.FlagValues) -> data.DataSet:
    """The run's data set."""
    return data.load(
        values.dataset, values.data_dir, values.validation, values.seed, values.download
    )


def threat(values: flags.FlagValues) -> Threat:
    """The run's threat; UserError for a radius outside its range."""
    found = catalogue.threat(values.threat, threat_settings(values))
    check_radius(found, values.epsilon, "epsilon")
    return found


def check_radius(threat: Threat, eps: float, name: str) -> None:
    """UserError unless 0 < eps <= the threat's largest radius."""
    if not 0.0 < eps <= threat.largest:
        raise UserError(
            f"{name}: expected a radius in (0, {threat.largest:g}] for {threat.name}; "
            f"received {eps:g}"
        )


def network_maker(values: flags.FlagValues, dataset: data.DataSet) -> Callable[[], keras.Model]:
    """Makes the network of a run under the dtype policy of the moment."""
    normalization = _statistics(dataset.train) if values.normalization == "dataset" else None

    def make() -> keras.Model:
        return models.build(
            values.model,
            dataset.shape,
            dataset.classes,
            normalization=normalization,
            batch_norm=values.batch_norm,
            init=values.init,
        )

    return make


def under_policy(policy: str, make: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    """Makes the same network under a dtype policy."""

    def made() -> keras.Model:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return make()
        finally:
            keras.config.set_dtype_policy(before)

    return made


def phases(values: flags.FlagValues, threat: Threat) -> list[Phase]:
    """The phases that the flags describe; UserError for what the threat or XLA does not allow."""
    found = read_phases(values)
    refuse_other_threats(values.eval_attack, threat)
    for phase in found:
        refuse_other_threats(phase.attack, threat)
        check_radius(threat, phase.eps, "train_epsilon")
        if phase.eps_from:
            check_radius(threat, phase.eps_from, "epsilon_from")
        refuse_unanswered(phase.bound, threat)
        if values.jit_compile:
            refuse_dynamic(phase.bound, threat)
    return found


def objective(phase: Phase, threat: Threat, bounds: Mapping[str, Any]) -> Objective:
    """What a phase minimises. bounds: settings of bound methods."""
    static = {name: value for name, value in bounds.items() if name != "seed"}
    return Objective(
        threat,
        attack=_attack(phase),
        start=_start(phase),
        attack_loss=catalogue.resolve("loss", phase.attack_loss),
        bound=None if phase.bound == "none" else catalogue.bound(phase.bound, static),
        bound_draws=phase.bound != "none"
        and "seed" in catalogue.find("bound", phase.bound).options,
        bound_samples=phase.bound_samples,
        l1=phase.l1,
    )


def _attack(phase: Phase) -> Attack | None:
    if phase.attack == "none":
        return None
    settings = {"steps": phase.attack_steps, "step_size": phase.attack_step_size}
    return catalogue.attack(phase.attack, settings)


def _start(phase: Phase) -> Start | None:
    """None for where the attack on the batch before ended."""
    name = phase.attack_start
    return None if name == "previous" else catalogue.resolve("start", name)


def optimizer_maker(values: flags.FlagValues) -> Callable[[], keras.optimizers.Optimizer]:
    """Makes a new optimizer; under mixed_float16 it scales the loss."""
    decay = values.weight_decay or None

    def make() -> keras.optimizers.Optimizer:
        if values.optimizer == "adam":
            optimizer: Any = keras.optimizers.Adam(1e-3, weight_decay=decay)
        else:
            optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, weight_decay=decay)
        if values.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return optimizer

    return make


def settings(values: flags.FlagValues, phases: list[Phase]) -> Settings:
    """The loop's settings."""
    return Settings(
        batch_size=values.batch_size,
        seed=values.seed,
        select_by=selection(values, phases),
        monitor_every=values.monitor_every,
        monitor_samples=values.monitor_samples,
        checkpoint_seconds=values.checkpoint_seconds,
        jit_compile=values.jit_compile,
        clip_norm=values.clip_norm,
        stable_tolerance=values.stable_tolerance,
        augment=values.augment,
    )


def monitored_bound(phases: list[Phase], threat: Threat, settings: dict[str, Any]) -> Any:
    """The bound that training is watched with: the last phase's, else the cheapest.

    Where that one certifies nothing, the one that certifies what it stands for.
    """
    if not threat.has_support:
        return None
    name = "interval" if phases[-1].bound == "none" else phases[-1].bound
    return catalogue.bound(catalogue.find("bound", name).certificate or name, settings)


def monitored_attack(threat: Threat, steps: int) -> Attack | None:
    """The attack that training is watched with; None without steps."""
    name = "msd" if threat.name == "union" else "pgd"
    return catalogue.attack(name, {"steps": steps}) if steps else None


def selection(values: flags.FlagValues, phases: list[Phase]) -> str:
    """What weights are selected by; UserError if that is not monitored."""
    by = values.select_by
    if by == "auto":
        attacked = "attacked" if phases[-1].attack != "none" else "clean"
        by = "verified" if phases[-1].bound != "none" else attacked
    if by == "attacked" and not values.monitor_attack_steps:
        raise UserError(
            "select_by: expected a quantity that is monitored; received 'attacked' with "
            "--monitor_attack_steps=0"
        )
    return by


def _statistics(train: data.Split) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel."""
    images = train.images()
    return images.mean((0, 1, 2), np.float64).tolist(), images.std((0, 1, 2), np.float64).tolist()
