"""Flags of evaluations: the network, the radii, the methods.

Imports no TensorFlow.
"""

from typing import Any

from absl import flags

from pipelines.flags.data import data_flags
from pipelines.flags.group import Group
from pipelines.flags.help import listed
from pipelines.flags.kinds import ANY, OneOf, ends, line, number, radii, whole, within
from rt_tf import catalogue
from rt_tf.catalogue.bounds import LADDER
from rt_tf.catalogue.suites import SUITES, USUAL_LOSS, Budget
from rt_tf.errors import UserError

FILES = ("keras_file", "onnx_file")  # each names a network that was not trained here


def given_group(values: flags.FlagValues) -> Group:
    """The flags of a network that was not trained here, and of the question about it."""
    group = Group(
        "A network of your own (with its file given, --model_dir is made around it)", values
    )
    file_flags(group)
    range_flag(group)
    data_flags(group, None)
    group.one("threat", OneOf(catalogue.THREATS), "linf", listed(catalogue.THREATS))
    return group


def file_flags(group: Group) -> None:
    """Defines the flags of a network's file."""
    group.text(
        "keras_file", None, "A .keras file: a functional or Sequential classifier of images."
    )
    group.text("onnx_file", None, "An ONNX file of such a network (pip install -e '.[vnn]').")
    about = "The name of the output to certify, of a file's network that has several."
    group.text("network_output", None, about)


def range_flag(group: Group) -> None:
    """Defines the flag of the domain of the network's input."""
    about = (
        "The network's inputs for black and white, such as 0,255 or -1,1: the domain of its input. "
        "Radii are in the same units. Not given: 0,1."
    )
    group.one("input_range", ends, None, about)


def threat_group(values: flags.FlagValues) -> Group:
    """The flags of threats' own settings."""
    group = Group("Threats' own settings", values)
    about = "For a union: radii of linf, l2 and l1, such as 0.3,1.5,12; 0 leaves one out."
    group.one("union_radii", radii, None, about)
    about = "For wasserstein: mass moves within so many pixels squared, an odd number."
    group.one("transport_size", whole(3), 5, about)
    about = "For wasserstein: mass moves at the cost of its distance to this power."
    group.one("transport_power", within(1.0, 100.0), 1.0, about)
    about = "For wasserstein: the weight of projections against the entropy of their plan."
    group.one("transport_weight", within(1.0, 1e6), 1000.0, about)
    return group


def threat_settings(values: flags.FlagValues) -> dict[str, Any]:
    """The values of `threat_group`, by the names of threats' parameters.

    UserError for a union without radii: none fit all data sets.
    """
    if values.threat == "union" and values.union_radii is None:
        raise UserError(
            "union_radii: expected radii of linf, l2 and l1 with --threat=union, such as "
            "0.3,1.5,12 (MNIST) or 0.03,0.5,12 (CIFAR-10); received none"
        )
    return {
        "radii": values.union_radii,
        "size": values.transport_size,
        "p": values.transport_power,
        "weight": values.transport_weight,
    }


def certify_group(values: flags.FlagValues) -> Group:
    """The flags of certification within a training run."""
    group = Group("Certification", values)
    rungs = catalogue.rungs()
    group.phases("rungs", OneOf(rungs), "interval,crown_ibp", f"In this order. {listed(rungs)}")
    _time_limit(group)
    return group


def ladder_group(values: flags.FlagValues) -> Group:
    """The flags of certification by a command of its own."""
    group = Group("Certification", values)
    usual = f"Not given: {', '.join(LADDER)}, in the order that is quickest on some examples."
    rungs = catalogue.rungs()
    group.phases("rungs", OneOf(rungs), None, f"In this order. {listed(rungs)} {usual}")
    _time_limit(group)
    return group


def _time_limit(group: Group) -> None:
    about = "Seconds that a rung which searches may take for an example."
    group.one("time_limit", within(0.0, ANY), 30.0, about)


def bound_group(values: flags.FlagValues) -> Group:
    """The flags of bound methods' settings; 0 stands for a method's own."""
    group = Group("Bound methods (0: the method's own)", values)
    group.one("bound_memory", within(0.0, ANY), 0.0, "MiB for the coefficients of a pass.")
    group.one("bound_steps", whole(0), 0, "Steps of ascent for optimised slopes.")
    group.one("bound_projections", whole(0), 0, "Random vectors of an estimate.")
    group.one("bound_delta", within(0.0, 1.0), 0.0, "Probability that a probable bound fails.")
    group.one("bound_seed", whole(0, 2**31 - 1), 0, "Seed of a probable bound's random vectors.")
    return group


def bound_settings(values: flags.FlagValues) -> dict[str, Any]:
    """The values of `bound_group`, by the names of bound methods' parameters."""
    options = {
        option: values[f"bound_{option}"].value
        for option in ("memory", "steps", "projections", "delta")
    }
    limit = {"time_limit": values.time_limit} if "time_limit" in values else {}
    chosen = {name: value for name, value in options.items() if value}
    return {**chosen, "seed": (values.bound_seed, 0), **limit}


def radius_group(values: flags.FlagValues) -> Group:
    """The flags of a search of certified radii."""
    group = Group("Certified radii", values)
    about = "The largest radius tried. Not given: four times the run's own."
    group.phases("epsilon", number, None, about)
    group.one("threat", OneOf(catalogue.THREATS), None, "Not given: the run's own threat.")
    certifying = {name: catalogue.rungs()[name] for name in catalogue.certifying_bounds()}
    rungs = {name: entry for name, entry in certifying.items() if not entry.probable}
    about = f"Each goes on above what those before it certify. {listed(rungs)}"
    group.phases("rungs", OneOf(rungs), "crown_ibp,crown", about)
    about = "Share of a radius by which the search may fall short of where its bound fails."
    group.one("tolerance", within(1e-4, 0.5), 0.01, about)
    samples_flag(group)
    return group


def attack_group(values: flags.FlagValues) -> Group:
    """The flags of the attack on the test split."""
    group = Group("Attack on the test split", values)
    about = f"{listed(catalogue.ATTACKS)} The command evaluate takes cascade for cascades."
    group.one("eval_attack", OneOf(catalogue.ATTACKS), "pgd", about)
    group.one("eval_steps", whole(1), 40, "Steps of the attack.")
    group.one("eval_restarts", whole(1), 2, "Random starts; the worst counts.")
    group.one("eval_step_size", within(0.0, ANY), 0.0, "Step size in eps; 0: the attack's own.")
    group.one("eval_start", OneOf(catalogue.STARTS), "uniform", listed(catalogue.STARTS))
    about = f"The loss of attacks that climb a chosen one. {listed(catalogue.LOSSES)}"
    group.one("eval_loss", OneOf(catalogue.LOSSES), "odds", about)
    return group


def eval_budget(values: flags.FlagValues) -> Budget:
    """The attack that the values of `attack_group` describe.

    FGSM has one step whatever they say, and attacks that climb no loss have none.
    """
    return Budget(
        values.eval_attack,
        1 if values.eval_attack == "fgsm" else values.eval_steps,
        values.eval_restarts,
        values.eval_step_size,
        values.eval_start,
        values.eval_loss if catalogue.ATTACKS[values.eval_attack].climbs else USUAL_LOSS,
    )


def suite_group(values: flags.FlagValues) -> Group:
    """The flags of an evaluation of a finished run."""
    group = Group("Evaluation", values)
    group.one("suite", OneOf(SUITES), None, f"Attacks by name. {listed(SUITES)}")
    group.one("threat", OneOf(catalogue.THREATS), None, "Not given: the run's own threat.")
    group.phases(
        "transfer_from", line, None, "Folders of other runs: points made on their networks."
    )
    about = "Also attack at growing radii until no image withstands (suites always do)."
    group.switch("curve_to_zero", False, about)
    group.one("curve_samples", whole(1), 200, "First examples of the test split used for that.")
    return group


def curve_group(values: flags.FlagValues) -> Group:
    """The flags of the examples of the test split, and of further radii."""
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
    """The flags of the questions about a finished run."""
    group = Group("Question", values)
    about = "Radii in the input's units, a comma list; the run's own if not given."
    group.phases("epsilon", number, None, about)
    samples_flag(group)
    return group


def blessing_group(values: flags.FlagValues) -> Group:
    """The flags of the bar for a network that is to be served."""
    group = Group("Blessing", values)
    about = "Least certified share of the test images with certificates, misclassified ones too."
    group.one("min_verified_accuracy", within(0.0, 1.0), None, f"{about} Not given: no verdict.")
    about = "The radius of these certificates; the run's own if not given."
    group.phases("epsilon", number, None, about)
    return group


def version_group(values: flags.FlagValues) -> Group:
    """The flag of the number under which TensorFlow Serving finds an export."""
    group = Group("TensorFlow Serving", values)
    about = "Also a copy as served/<number>, unless it is NOT_BLESSED. Not given: none."
    group.one("export_version", whole(1), None, about)
    return group


def starts_group(values: flags.FlagValues) -> Group:
    """The flags of the randomness of an attack on a finished run."""
    group = Group("Randomness", values)
    group.one("seed", whole(0, 2**32 - 1), 0, "Seed of the attack's random starts.")
    return group


def samples_flag(group: Group) -> None:
    """Defines the flag of the number of examples of the test split."""
    group.one("samples", whole(0), 0, "First examples of the test split; 0: all.")
