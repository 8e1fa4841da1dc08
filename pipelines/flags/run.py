"""The flags of a training run, and which of them a run may change. Imports no TensorFlow."""

from absl import flags
from absl import logging as absl_logging

from pipelines.flags import data
from pipelines.flags.data import data_flags
from pipelines.flags.evaluation import (
    attack_group,
    bound_group,
    certify_group,
    curve_group,
    file_flags,
    range_flag,
    threat_group,
)
from pipelines.flags.group import Group
from pipelines.flags.help import listed
from pipelines.flags.kinds import ANY, OneOf, PhaseList, number, positive, whole, within
from pipelines.flags.output import output_flags
from pipelines.flags.phases import phase_group
from rt_tf import catalogue
from rt_tf.catalogue import models

OPERATIONAL = {
    "model_dir",
    "data_dir",
    "download",
    "cache_dir",
    "strategy",
    "jit_compile",
    "bound_recompute",
    "checkpoint_seconds",
    "bound_memory",
    "time_limit",
}
# Flags that may change, if accepted, once training is done; and flags that may never change.
EVALUATION = {"rungs", "eval_attack", "eval_steps", "eval_restarts", "eval_step_size", "samples"}
EVALUATION |= {
    "eval_start",
    "eval_loss",
    "curve",
    "curve_samples",
    "system",
    "published",
    "bound_steps",
    "bound_delta",
    "bound_seed",
}
FIXED = {*data.NAMES, "validation", "model", "normalization", "batch_norm", "init", "threat"}
FIXED |= {"epsilon", "input_range", "union_radii", "seed", "batch_size", "model_scale"}
FIXED |= {"extra_data", "extra_share", "extra_labels_from"}
FIXED |= {"optimizer", "precision", "replays", "new_member", "select_by", "monitor_bound", "ema"}
FIXED |= {"momentum", "nesterov"}
FIXED |= {"transport_size", "transport_power", "transport_weight"}
# Earlier defaults: a run that has one of them did not choose it.
FORMER = {"stable_tolerance": "0.01"}
# Values that had another name: by flag, the name now.
RENAMED = {"strategy": {"default": "auto"}}
STRATEGIES = ["auto", "single", "mirrored", "multi_worker"]
# Not frozen with a run.
OF_ONE_COMMAND = {"dry_run", "memory", "accept_changed_flags", "quiet", "log_format"}
del absl_logging  # imported for its flags: defined before TensorFlow defines them


def known_model(text: str) -> str:
    """A name that may be a network's."""
    if text in catalogue.MODELS or models.is_function(text) or models.is_file(text):
        return text
    raise ValueError(
        f"expected one of {', '.join(catalogue.MODELS)}, module:function, or a .keras file; "
        f"received '{text}'"
    )


def run_group(values: flags.FlagValues) -> Group:
    """The flags of the places of a run and its data."""
    group = Group("Run", values)
    group.text("model_dir", None, "The run's directory: everything is written there.")
    group.text("data_dir", None, "Folder with prepared TFDS data sets (TFDS's own by default).")
    group.switch("download", False, "Let TFDS download and prepare an absent data set.")
    about = "Folder for decoded examples (by default RT_TF_CACHE_DIR, or the user's cache folder)."
    group.text("cache_dir", None, about)
    about = "Modules to import first, a comma list: plug-ins that add rows to the catalogue."
    group.text("import", None, about)
    output_flags(group)
    return group


def system_group(values: flags.FlagValues) -> Group:
    """The flags of the data, the model and the threat."""
    group = Group("System", values)
    group.text("system", "custom", "The system's name, for the report.")
    about = "The paper's results, in words: clean / attacked / certified accuracy, and where."
    group.text("published", None, about)
    data_flags(group, "digits")
    group.one(
        "validation",
        within(0.0, ANY),
        0.1,
        "Held out of the training split: a share below 1, or a number of examples.",
    )
    about = (
        f"{listed(catalogue.MODELS)} Or module:function, a function of the input's shape and the "
        "number of classes; or a .keras file, whose weights are trained on."
    )
    group.one("model", known_model, "digits_cnn", about)
    about = (
        "Factor of the filters and units of every layer but the last, rounded, such as 1/4; for "
        "wong_wide and wong_deep: the k of Wide(k) and Deep(k)."
    )
    group.one("model_scale", positive, 1.0, about)
    group.one(
        "normalization",
        OneOf(["none", "dataset"]),
        "none",
        "A first layer that normalises pixels, or columns, by training's mean and deviation.",
    )
    group.switch("batch_norm", False, "Batch normalisation after every layer but the last.")
    group.one(
        "init",
        OneOf(["keras", "shi"]),
        "keras",
        "Initial kernels: Keras's, or Shi et al. 2021 (interval widths neither grow nor die).",
    )
    group.one("threat", OneOf(catalogue.THREATS), "linf", listed(catalogue.THREATS))
    group.one(
        "epsilon",
        number,
        0.05,
        "Target radius in the input's units (--input_range); fractions such as 8/255 parse.",
    )
    range_flag(group)
    group.one("seed", whole(0, 2**32 - 1), 0, "Seed of initial weights, order, starts and splits.")
    return group


def training_group(values: flags.FlagValues) -> Group:
    """The flags of training."""
    group = Group("Training", values)
    _examples(group)
    _optimizer(group)
    _ends(group)
    _devices(group)
    _monitoring(group)
    group.one("checkpoint_seconds", within(0.0, ANY), 30.0, "Least seconds between checkpoints.")
    group.switch("dry_run", False, "Print the plan with measured steps, and exit.")
    about = "For --dry_run: GiB for which it tells the largest batch; 0: the machine's memory."
    group.one("memory", within(0.0, ANY), 0.0, about)
    group.switch("accept_changed_flags", False, "Go on although flags of the run have changed.")
    return group


def _examples(group: Group) -> None:
    group.switch(
        "augment", False, "Random crops after padding by 4 pixels; flips too, where classes allow."
    )
    about = "Mirror images, too, in --augment; false where a mirrored image has another class."
    group.switch("flips", True, about)
    group.one(
        "cutout", whole(0), 0, "Side of a square to blacken in each image, in pixels; 0: none."
    )
    about = "An .npz file with more training examples: images (uint8), labels."
    group.text("extra_data", None, about)
    group.one("extra_share", within(0.0, 1.0), 0.5, "Share of --extra_data in every batch.")
    about = "A finished run whose network labels these examples (pseudo-labels), not the file."
    group.text("extra_labels_from", None, about)
    about = "Weights of examples in the loss; balanced: every class has the same share of it."
    group.one("class_weights", OneOf(["none", "balanced"]), "none", about)
    group.one("batch_size", whole(1), 100, "Examples of a step, over all replicas.")


def _optimizer(group: Group) -> None:
    group.one("optimizer", OneOf(["adam", "sgd"]), "adam", "adam, or stochastic gradient descent.")
    group.one("momentum", within(0.0, 1.0), None, "Of sgd: 0.9 where none is given; 0: plain sgd.")
    group.switch("nesterov", False, "Nesterov's momentum, for sgd.")
    about = (
        "Decay of a moving average of the weights, such as 0.999 a step, which is validated, "
        "selected, exported and certified in their place; 0: none."
    )
    group.one("ema", within(0.0, 0.999999), 0.0, about)
    about = "Decoupled weight decay; 0: none. (--l2 decays by the gradient, kernels alone.)"
    group.one("weight_decay", within(0.0, ANY), 0.0, about)
    group.one("clip_norm", within(0.0, ANY), 0.0, "Global gradient norm to clip at; 0: none.")


def _ends(group: Group) -> None:
    about = "For until=stable: the most that the loss falls in an epoch, in units of its noise."
    group.one("stable_tolerance", within(0.0, ANY), 0.5, about)
    about = "For until=overfit: share of the best attacked accuracy whose sudden loss is an alarm."
    group.one("overfit_drop", within(0.0, 1.0), 0.5, about)


def _devices(group: Group) -> None:
    group.one(
        "precision",
        OneOf(["float32", "mixed_float16", "mixed_bfloat16"]),
        "float32",
        "Of the point term in training; bounds, evaluation and export are float32.",
    )
    about = (
        "Devices of a step: single; mirrored, all of this machine; multi_worker, those of all the "
        "processes that TF_CONFIG or srun names; auto: what is there (docs/scale.md)."
    )
    group.one("strategy", OneOf(STRATEGIES), "auto", about)
    group.switch("jit_compile", False, "Compile the step with XLA (slower on CPUs).")
    about = "Compute bounds of layers again for their gradients: less memory, more time."
    group.switch("bound_recompute", False, about)
    group.switch("deterministic", False, "Deterministic operations: bit-exact resume.")


def _monitoring(group: Group) -> None:
    group.one("monitor_every", whole(1), 1, "Epochs between evaluations.")
    group.one("monitor_samples", whole(1), 1000, "Examples of each split in an evaluation.")
    about = (
        "The bound of verified accuracy in an evaluation; auto: that of training, else interval; "
        "none: no verified accuracy."
    )
    group.one(
        "monitor_bound", OneOf(["auto", "none", *catalogue.certifying_bounds()]), "auto", about
    )
    group.one(
        "monitor_attack_steps",
        whole(0),
        10,
        "Steps of PGD (MSD for a union) in an evaluation; 0: no attack.",
    )
    group.one(
        "select_by",
        OneOf(["auto", "verified", "attacked", "clean", "last"]),
        "auto",
        "The validation accuracy by which weights are selected, or the last ones; auto: verified "
        "with a bound, else attacked with an attack, else clean.",
    )


def frozen(values: flags.FlagValues, groups: list[Group]) -> dict[str, str]:
    """The flags' values as text, by name, without those that concern one command alone."""
    names = [n for group in groups for n in group.names if n not in OF_ONE_COMMAND]
    return {name: as_text(values[name].value) for name in names if values[name].value is not None}


def defaults() -> dict[str, str]:
    """The values of `frozen` for a command line without flags."""
    values = flags.FlagValues()
    groups = training_groups(values)
    values(["run"])
    return frozen(values, groups)


def same(name: str, before: str | None, now: str | None) -> bool:
    """Whether a flag is unchanged; what an earlier version called otherwise counts as the same.

    So does the default of an earlier version as the default.
    """
    return now in (before, RENAMED.get(name, {}).get(str(before))) or (
        name in FORMER and before == FORMER[name] and now == defaults().get(name)
    )


def as_text(value: object) -> str:
    """The text of a value in a flag file."""
    return str(PhaseList([value])) if not isinstance(value, PhaseList) else str(value)


def training_groups(values: flags.FlagValues) -> list[Group]:
    """All flags of a training run."""
    makers = (
        run_group,
        system_group,
        threat_group,
        phase_group,
        training_group,
        bound_group,
        certify_group,
        attack_group,
        curve_group,
    )
    return [make(values) for make in makers]


def run_flags(frozen: dict[str, str]) -> flags.FlagValues:
    """The flags of an existing run, from their texts."""
    values = flags.FlagValues()
    training_groups(values)
    file_flags(Group("Given network", values))
    texts = {name: RENAMED.get(name, {}).get(text, text) for name, text in frozen.items()}
    values(["run", *(f"--{name}={text}" for name, text in texts.items())])
    return values
