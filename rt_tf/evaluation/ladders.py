"""The ladder that certifies a subject: the rungs that fit, in the order that is quickest."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rt_tf import catalogue
from rt_tf.catalogue.bounds import LADDER
from rt_tf.certification import plan
from rt_tf.certification.ladder import Ladder
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.evaluation.subject import Subject
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.records import parts
from rt_tf.records.merge import question_name
from rt_tf.records.record_file import read

Ladders = list[Ladder]  # one for each member of a cascade; one for a network alone
PILOT = 20  # examples on which rungs are measured
MOST_SPLIT = 50  # inputs of a region that is split
WORTH_A_PLAN = 100  # examples below which measuring takes longer than the best order saves


def choose_rungs(subject: Subject, rungs: Sequence[str] | None, progress: Progress) -> list[str]:
    """The rungs that are named; else all of the recommended ladder that answer to the subject.

    rungs: None where none are named. UserError for searches on a cascade.
    """
    if rungs is not None:
        unfit = [rung for rung in rungs if subject.is_cascade and rung in catalogue.SEARCHES]
        if unfit:
            raise UserError(
                f"rungs: expected bounds for a cascade, whose members answer in turn; received "
                f"{', '.join(unfit)}; {called('evaluate')} attacks the whole cascade"
            )
        return list(rungs)
    left_out = {rung: why for rung in LADDER if (why := _why_not(subject, rung))}
    for rung, why in left_out.items():
        progress.say(f"without {rung}: {why}")
    return [rung for rung in LADDER if rung not in left_out]


def _why_not(subject: Subject, rung: str) -> str | None:
    """Why a rung has no answer to the subject; None where it has."""
    threats = (catalogue.SEARCHES | catalogue.BOUNDS)[rung].threats
    if subject.is_cascade and rung in catalogue.SEARCHES:
        return "a cascade's members answer in turn"
    if threats and subject.threat.name not in threats:
        return f"it has no answer to {subject.threat.name}"
    if rung == "branch_and_bound" and _is_hopeless(subject):
        return (
            "the network has other curves than ReLU, and too many inputs for a search that splits "
            "the region; name it in --rungs to have it tried"
        )
    return None


def _is_hopeless(subject: Subject) -> bool:
    """Whether only the region can be split, and has more inputs than a search can cope with."""
    return (
        bool(subject.wiring.lower().curved) and math.prod(subject.wiring.input_shape) > MOST_SPLIT
    )


def rungs_before(subject: Subject, eps: float) -> list[str]:
    """The rungs of the certificates on record of this network at a radius."""
    folder = subject.records / question_name(subject.threat.name, eps)
    headers = []
    for path in parts.certificate_files(folder):
        with contextlib.suppress(FileNotFoundError):  # superseded by another part meanwhile
            headers.append(read(path)[0])
    of_network = [h for h in headers if h.get("network_sha256") == subject.checksum]
    return of_network[0].get("settings", {}).get("rungs", []) if of_network else []


def make_ladders(subject: Subject, rungs: Sequence[str], settings: Mapping[str, Any]) -> Ladders:
    """A ladder for each member. settings: of the rungs."""
    return [Ladder(wiring, subject.threat, rungs, settings) for wiring in subject.members]


def quickest_first(
    subject: Subject,
    ladders: Ladders,
    eps: float,
    left: Sequence[int],
    progress: Progress,
) -> Ladders:
    """The ladders with their rungs in the order that is quickest on the first of the places left.

    The rungs of the recommended ladder come first, its complete one last among them, then all
    others. The ladders stay as they are where few places are left, without a complete rung, and for
    a cascade, whose members see different examples.
    """
    places = np.array(left[:PILOT])
    usual = [rung for rung in LADDER if rung in ladders[0].rungs]
    if len(ladders) > 1 or len(left) < WORTH_A_PLAN or LADDER[-1] not in usual:
        return ladders
    images, labels = subject.test.images(places), subject.test.labels[places]
    right = subject.labels(images) == labels
    if not right.any():
        return ladders
    measured = plan.measure(ladders[0].reordered(usual), images[right], labels[right], eps)
    names = plan.order(measured)
    progress.say(
        f"certify eps {radius_text(eps)}: {' -> '.join(names)} is quickest on {len(places)} images"
    )
    others = [rung for rung in ladders[0].rungs if rung not in usual]
    return [ladders[0].reordered([*names, *others])]


def settings_taken(rungs: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings on which findings of rungs depend, as records name them: not memory and time."""
    entries = [(catalogue.SEARCHES | catalogue.BOUNDS)[rung] for rung in rungs]
    options = {option for entry in entries for option in entry.options} - {"memory", "time_limit"}
    return {f"bound_{name}": settings[name] for name in sorted(options) if name in settings}
