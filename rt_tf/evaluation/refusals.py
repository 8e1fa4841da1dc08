"""Refusals of settings that do not go together in an evaluation, before anything is computed."""

from collections.abc import Sequence

from rt_tf import catalogue
from rt_tf.catalogue.training import POINT_TERMS
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.exactly import exactly, radius_text
from rt_tf.threats.region import Threat, largest_radius

# The threats of point terms that are not for all: a latent region needs a threat that is a box.
TERM_THREATS = {"latent": ("linf",), "each": ("union",)}


def check_radius(threat: Threat, eps: float, name: str, domain: Given = UNIT) -> None:
    """Raises UserError unless 0 < eps <= the threat's largest radius in the domain.

    name: of the setting, for the message.
    """
    domain = Domain.of(domain)
    largest = largest_radius(threat, domain)
    if not 0.0 < eps <= largest:
        inputs = "" if domain is UNIT else f" and inputs in {domain}"
        raise UserError(
            f"{name}: expected a radius in (0, {exactly(largest)}] for {threat.name}{inputs}; "
            f"received {radius_text(eps)}"
        )


def refuse_unanswered(bound: str, threat: Threat) -> None:
    """Raises UserError for a bound that has no answer to the threat. bound: none passes."""
    if bound != "none" and not threat.has_support:
        raise UserError(
            f"bound: expected none for {threat.name}, which has no support function; "
            f"received {bound}"
        )
    threats = () if bound == "none" else _entry(bound).threats
    if threats and threat.name not in threats:
        raise UserError(
            f"threat: expected {' or '.join(threats)} with {bound}; received {threat.name}"
        )


def _entry(rung: str) -> catalogue.Entry:
    """The entry of a bound or of another rung in the catalogue."""
    return catalogue.find("search" if rung in catalogue.SEARCHES else "bound", rung)


def refuse_start(flag: str, start: str, threat: Threat) -> None:
    """Raises UserError for a start that is for other threats. flag: the setting's name."""
    threats = catalogue.STARTS[start].threats if start in catalogue.STARTS else ()
    if threats and threat.name not in threats:
        raise UserError(
            f"{flag}: expected another than {start} for {threat.name}; received {start}"
        )


def refuse_loss(name: str, attack: str, loss: str) -> None:
    """Raises UserError for a loss with an attack that climbs none that can be chosen.

    name: of the setting, for the message.
    """
    if not catalogue.ATTACKS[attack].climbs:
        climbing = [name for name, entry in catalogue.ATTACKS.items() if entry.climbs]
        raise UserError(
            f"{name}: expected none with the attack {attack}, which climbs no chosen loss "
            f"({', '.join(climbing)} do); received {loss}"
        )


def refuse_other_threats(name: str, attack: str, threat: Threat) -> None:
    """Raises UserError for an attack that is for other threats.

    name: of the setting, for the message. attack: none passes.
    """
    if attack == "none" or attack in POINT_TERMS:
        threats = TERM_THREATS.get(attack, ())
    else:
        threats = catalogue.find("attack", attack).threats
    if threats and threat.name not in threats:
        raise UserError(
            f"{name}: expected one for {threat.name} "
            f"({', '.join(catalogue.attacks_on(threat.name))}); received {attack}, which is for "
            f"{' and '.join(threats)}"
        )


def unfit(attack: str, threat: str, shape: Sequence[int], domain: Given) -> str:
    """The reason why an attack does not fit inputs of a shape and a domain; empty if it does."""
    entry = catalogue.ATTACKS.get(attack)
    if entry is None:
        return ""
    if len(shape) != 3 and threat in entry.images:
        return f"is for images under {threat}"
    if entry.one_range and not Domain.of(domain).is_uniform:
        return "is for inputs of one range, the same for every feature"
    return ""


def refuse_inputs(
    name: str, attack: str, threat: Threat, shape: Sequence[int], domain: Given
) -> None:
    """Raises UserError for an attack or a threat that inputs of a shape and a domain do not fit.

    name: of the setting of the attack, for the message.
    """
    if threat.name == "wasserstein" and len(shape) != 3:
        raise UserError(
            "threat: expected another than wasserstein for a table, as mass moves between pixels; "
            "received wasserstein"
        )
    why = unfit(attack, threat.name, shape, domain)
    if why:
        raise UserError(f"{name}: expected another attack than {attack}, which {why}")


def refuse_attack_on_members(name: str, attack: str, is_cascade: bool) -> None:
    """Raises UserError for an attack on a cascade's members where the network is no cascade.

    name: of the setting, for the message.
    """
    if attack in catalogue.ATTACKS and catalogue.ATTACKS[attack].cascade and not is_cascade:
        raise UserError(
            f"{name}: expected another than {attack} for a network that is no cascade; "
            f"received {attack}"
        )


def refuse_other_answers(threat: Threat, certified_for: str) -> None:
    """Raises UserError for a cascade under another threat than its answers are certified for."""
    if threat.name != certified_for:
        raise UserError(
            f"threat: expected {certified_for} for a cascade, whose answers are certified for that "
            f"alone; received {threat.name}"
        )
