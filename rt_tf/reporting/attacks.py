"""What records tell of an attack: its name, what it may look at, what it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.catalogue.suites import USUAL_LOSS
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import statistics
from rt_tf.reporting.formats import TIMES

TRANSFER = "transfer-"  # ids of attacks whose points were made against another network


def summary(question: Question, name: str) -> Row:
    """One attack's row of the report."""
    rows = [row for row in question.rows if name in row["attacks"]]
    told = [row["attacks"][name] for row in rows]
    withstood = sum(not attack["success"] for attack in told)
    return {
        "id": name,
        "name": names(question.attacks)[name],
        "settings": _settings(question.attacks[name]),
        "sample": statistics.sample(rows),
        "attacked": statistics.rate(withstood, len(rows)),
        "distance": statistics.distances(attack["distance"] for attack in told),
        "seconds": statistics.seconds(attack["seconds"] for attack in told),
    }


def names(attacks: Mapping[str, Row]) -> dict[str, str]:
    """A short name for each of a question's attacks (settings by id); its id where two agree."""
    short = {name: _short(name, settings) for name, settings in attacks.items()}
    count = Counter(short.values())
    return {name: text if count[text] == 1 else name for name, text in short.items()}


def _short(name: str, settings: Row) -> str:
    """`pgd 50 x 10 odds`: steps and restarts, those above one; the loss, if not the usual one."""
    steps, restarts = settings["steps"] or 1, settings["restarts"] or 1
    budget = f" {steps}{TIMES}{restarts}" if restarts > 1 else f" {steps}" if steps > 1 else ""
    source = f" from {settings.get('source', 'another network')}" if is_transfer(name) else ""
    loss = f" {settings['loss']}" if settings.get("loss", USUAL_LOSS) != USUAL_LOSS else ""
    return f"{settings['attack']}{budget}{loss}{source}"


def _settings(settings: Row) -> Row:
    """Those that say something: no loss where none is climbed."""
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
    """Whether an attack saw no gradients of the network; a search, not noise."""
    entry = ATTACKS.get(settings["attack"])
    if is_noise(settings) or entry is None:
        return False
    return is_transfer(name) or entry.black_box


def is_white_box(name: str, settings: Row) -> bool:
    """Whether an attack followed the network's own gradients."""
    known = settings["attack"] in ATTACKS
    return known and not is_noise(settings) and not is_black_box(name, settings)


def is_iterative(name: str, settings: Row) -> bool:
    """White-box, of several steps."""
    return is_white_box(name, settings) and (settings["steps"] or 0) > 1


def is_single_step(name: str, settings: Row) -> bool:
    """White-box, of one step."""
    return is_white_box(name, settings) and settings["steps"] == 1
