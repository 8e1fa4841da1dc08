"""The quantities that training is watched and selected by, from flags."""

from typing import Any

from absl import flags

from pipelines.assembly import inputs
from rt_tf import catalogue
from rt_tf.attacks.judging import Attack
from rt_tf.errors import UserError
from rt_tf.threats.region import Threat
from rt_tf.training.phases import Phase


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
    return "" if inputs.threat(values).has_support else f"--threat={values.threat}"
