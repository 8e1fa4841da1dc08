"""Flags of what is asked about a network: which one, at which radii, by which methods.

Imports no TensorFlow.
"""

from absl import flags

from pipelines.parsing import Group, OneOf, ends, listed, number, whole, within
from rt_tf import catalogue

ANY = float("inf")


def given_group(values: flags.FlagValues) -> Group:
    """A network that was not trained here, and what it is asked about."""
    group = Group(
        "A network of your own (with --keras_file, --model_dir is made around it)", values
    )
    file_flags(group)
    group.one("dataset", OneOf(catalogue.DATASETS), None, listed(catalogue.DATASETS))
    group.one("threat", OneOf(catalogue.THREATS), "linf", listed(catalogue.THREATS))
    return group


def file_flags(group: Group) -> None:
    """Where a given network is, and what it takes for pixels."""
    group.text(
        "keras_file", None, "A .keras file: a functional or Sequential classifier of images."
    )
    about = "What the network takes for black and white, such as 0,255 (--epsilon stays in [0, 1])."
    group.one("input_range", ends, None, f"{about} Not given: 0,1.")


def certify_group(values: flags.FlagValues) -> Group:
    """How the test split is certified."""
    group = Group("Certification", values)
    group.phases("rungs", OneOf(catalogue.BOUNDS), "interval,crown_ibp", "Bounds, in order.")
    return group


def attack_group(values: flags.FlagValues) -> Group:
    """How the test split is attacked."""
    group = Group("Attack on the test split", values)
    group.one("eval_attack", OneOf(catalogue.ATTACKS), "pgd", listed(catalogue.ATTACKS))
    group.one("eval_steps", whole(1), 40, "Steps of the attack.")
    group.one("eval_restarts", whole(1), 2, "Random starts; the worst counts.")
    group.one("eval_step_size", within(0.0, ANY), 0.0, "Step size in eps; 0: the attack's own.")
    return group


def curve_group(values: flags.FlagValues) -> Group:
    """How much of the test split is asked, and at which further radii."""
    group = Group("Questions to the test split", values)
    samples_flag(group)
    group.phases(
        "curve",
        within(0.0, ANY),
        "0.25,0.5,0.75,1.25,1.5,2",
        "Further radii, in units of epsilon; 0: none.",
    )
    group.one("curve_samples", whole(1), 500, "First examples of the test split used for them.")
    return group


def radii_group(values: flags.FlagValues) -> Group:
    """The questions asked of a finished run."""
    group = Group("Question", values)
    about = "Radii in pixel units, a comma list; the run's own if not given."
    group.phases("epsilon", number, None, about)
    samples_flag(group)
    return group


def starts_group(values: flags.FlagValues) -> Group:
    """The randomness of an attack on a finished run."""
    group = Group("Randomness", values)
    group.one("seed", whole(0, 2**32 - 1), 0, "Seed of the attack's random starts.")
    return group


def samples_flag(group: Group) -> None:
    """How much of the test split is used."""
    group.one("samples", whole(0), 0, "First examples of the test split; 0: all.")
