"""The flags with one value for every phase of training. Imports no TensorFlow."""

from absl import flags

from pipelines.flags.group import Group
from pipelines.flags.help import Summarised, listed
from pipelines.flags.kinds import ANY, OneOf, epochs_list, switch, whole, within
from rt_tf import catalogue
from rt_tf.catalogue.training import DECAYS, ENDS, POINT_TERMS


def phase_group(values: flags.FlagValues) -> Group:
    """The flags of each phase of training."""
    group = Group("Phases (one value, or a comma list with one for every phase)", values)
    _span(group)
    _point_term(group)
    _bound_term(group)
    _radius(group)
    _learning_rate(group)
    _regularisers(group)
    return group


def _span(group: Group) -> None:
    group.phases("epochs", whole(1), "20", "Epochs of the phase, at most.")
    group.phases("phase_until", OneOf(ENDS), "epochs", listed(ENDS))
    about = "The clock of --epochs and --decay_epochs: epochs of the phase, or of the whole run."
    group.phases("phase_clock", OneOf(["phase", "run"]), "phase", about)
    about = "Begin another network of a cascade, trained on images that no earlier one certifies."
    group.phases("new_member", switch, "false", about)
    group.phases("reset_optimizer", switch, "true", "Start the phase with a new optimizer.")


def _point_term(group: Group) -> None:
    attacks: dict[str, Summarised] = {n: e for n, e in catalogue.ATTACKS.items() if e.training}
    attacks |= POINT_TERMS
    group.phases("attack", OneOf(["none", *attacks]), "none", listed(attacks))
    group.phases("attack_steps", whole(1), "10", "Steps of the attack; free has one a replay.")
    about = "Step size in eps; 0: the attack's own."
    group.phases("attack_step_size", within(0.0, ANY), "0", about)
    starts = [*catalogue.STARTS, "previous"]
    about = f"The start of attacks. {listed(catalogue.STARTS)}; previous: the last batch's moves"
    group.phases("attack_start", OneOf(starts), "uniform", about)
    about = f"The loss that attacks climb. {listed(catalogue.LOSSES)}"
    group.phases("attack_loss", OneOf(catalogue.LOSSES), "ce", about)
    about = "TRADES: weight of the divergence between image and attacked point; 0: not TRADES."
    group.phases("trades_beta", within(0.0, ANY), "0", about)
    about = "For attack=free: steps on every batch, each from the last one's attacked images."
    group.phases("replays", whole(1), "1", about)
    about = "For attack=latent: activation layers below the region, frozen; 0: the image itself."
    group.phases("latent_layer", whole(0), "0", about)


def _bound_term(group: Group) -> None:
    group.phases("bound", OneOf(["none", *catalogue.BOUNDS]), "none", listed(catalogue.BOUNDS))
    group.phases("bound_samples", whole(0), "0", "Examples of a batch in the bound term; 0: all.")
    about = (
        "Radius of the bounded region in train_epsilon; below 1 around the attack's point (SABR)."
    )
    group.phases("bound_ratio", within(0.0, 1.0), "1", about)
    group.phases("kappa", within(0.0, 1.0), "0", "Weight of the bound term, in [0, 1].")
    group.phases("kappa_from", within(0.0, 1.0), "0", "kappa before its ramp.")
    group.phases("kappa_ramp_epochs", within(0.0, ANY), "0", "Epochs over which kappa ramps.")
    about = (
        "Adaptive kappa (MixTrain): its moves, from kappa_from up to kappa, while validation "
        "accuracy is above chance; 0: as ramped."
    )
    group.phases("kappa_step", within(0.0, 1.0), "0", about)
    group.phases("kappa_every", whole(1), "5", "Epochs between its moves.")
    about = "Validation accuracy below which a loss of accuracy lowers it."
    group.phases("kappa_target", within(0.0, 1.0), "0.7", about)


def _radius(group: Group) -> None:
    about = "Training radius (pixel units); 0: --epsilon."
    group.phases("train_epsilon", within(0.0, ANY), "0", about)
    group.phases("epsilon_from", within(0.0, ANY), "0", "Radius before its ramp (pixel units).")
    group.phases("epsilon_ramp_epochs", within(0.0, ANY), "0", "Epochs over which eps ramps.")
    group.phases("warmup_epochs", within(0.0, ANY), "0", "Epochs before the ramps begin.")
    group.phases("ramp", OneOf(["linear", "smooth"]), "linear", "Shape of the ramps.")


def _learning_rate(group: Group) -> None:
    group.phases("learning_rate", within(0.0, ANY), "0.001", "Learning rate.")
    group.phases("decay", OneOf(DECAYS), "piecewise", listed(DECAYS))
    group.phases("decay_epochs", epochs_list, "", "Epochs of decay, joined by colons: 50:60.")
    about = "Factor of the learning rate there (piecewise), or at the end of it (multiple, linear)."
    group.phases("decay_factor", within(0.0, 1.0), "0.2", about)


def _regularisers(group: Group) -> None:
    group.phases("l1", within(0.0, ANY), "0", "Weight of the kernels' L1 norm.")
    group.phases("l2", within(0.0, ANY), "0", "Weight of half their squared L2 norm.")
    about = "Weight of -sum tanh(1 + l u) over units (Xiao et al. 2019)."
    group.phases("relu_stability", within(0.0, ANY), "0", about)
    about = "Weight of Shi et al. 2021's regularisers, which fades as epsilon ramps; 0.5 there."
    group.phases("warmup_regularizer", within(0.0, ANY), "0", about)
    about = "Mixes pairs of examples, in a proportion from Beta(mixup, mixup); 0: does not."
    group.phases("mixup", within(0.0, ANY), "0", about)


PHASE_FLAGS = tuple(phase_group(flags.FlagValues()).names)
