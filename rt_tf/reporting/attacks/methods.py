"""Attacks on record: their short names, their kinds, and the accuracy that each left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import USUAL_LOSS
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import distributions, statistics
from rt_tf.reporting.formats import TIMES

TRANSFER = "transfer-"  # ids of attacks whose points were made against another network


def summary(question: Question, name: str) -> Row:
    """The row of one attack of a question (`attack` in the report's schema)."""
    rows = [row for row in question.rows if name in row["attacks"]]
    attacks = [row["attacks"][name] for row in rows]
    withstood = sum(not attack["success"] for attack in attacks)
    return {
        "id": name,
        "name": names(question.attacks)[name],
        "settings": _settings(question.attacks[name]),
        "sample": statistics.sample(rows),
        "attacked": statistics.rate(withstood, len(rows)),
        "distance": distributions.distances(attack["distance"] for attack in attacks),
        "seconds": distributions.seconds(attack["seconds"] for attack in attacks),
    }


def names(attacks: Mapping[str, Row]) -> dict[str, str]:
    """A short name for each of a question's attacks (settings by id); its id where two agree."""
    short = {name: _short(name, settings) for name, settings in attacks.items()}
    count = Counter(short.values())
    return {name: text if count[text] == 1 else name for name, text in short.items()}


def _short(name: str, settings: Row) -> str:
    """The short name, `pgd 50 x 10 odds`: steps and restarts above one, and an unusual loss."""
    steps, restarts = settings["steps"] or 1, settings["restarts"] or 1
    budget = f" {steps}{TIMES}{restarts}" if restarts > 1 else f" {steps}" if steps > 1 else ""
    source = f" from {settings.get('source', 'another network')}" if is_transfer(name) else ""
    loss = f" {settings['loss']}" if settings.get("loss", USUAL_LOSS) != USUAL_LOSS else ""
    return f"{settings['attack']}{budget}{loss}{source}"


def _settings(settings: Row) -> Row:
    """The settings without those that have no effect: no loss where none is climbed."""
    entry = ATTACKS.get(settings["attack"])
    silent = ("loss",) if entry and not entry.climbs else ()
    return {name: value for name, value in settings.items() if name not in silent}


def is_transfer(name: str) -> bool:
    """Whether an attack of this id took its points from another network."""
    return name.startswith(TRANSFER)


def is_noise(settings: Row) -> bool:
    """Whether an attack tries random points only."""
    return "noise" in settings["attack"]


def is_black_box(name: str, settings: Row) -> bool:
    """Whether an attack searches without gradients of the network; noise does not count."""
    entry = ATTACKS.get(settings["attack"])
    if is_noise(settings) or entry is None:
        return False
    return is_transfer(name) or entry.black_box


def is_white_box(name: str, settings: Row) -> bool:
    """Whether an attack followed the network's own gradients."""
    is_listed = settings["attack"] in ATTACKS
    return is_listed and not is_noise(settings) and not is_black_box(name, settings)


def is_iterative(name: str, settings: Row) -> bool:
    """Whether an attack is white-box and takes several steps."""
    return is_white_box(name, settings) and (settings["steps"] or 0) > 1


def is_single_step(name: str, settings: Row) -> bool:
    """Whether an attack is white-box and takes one step."""
    return is_white_box(name, settings) and settings["steps"] == 1
