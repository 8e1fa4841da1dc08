"""Rules that the records of one network keep, whatever wrote them.

A broken rule is a bug of this library or a damaged file: it raises Inconsistent, and no report is
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rt_tf.domain import UNIT
from rt_tf.exactly import exactly
from rt_tf.records.record_file import Row

SAME_IN_QUESTION = ("threat", "eps", "split", "network_sha256")
SAME_IN_RUN = ("split", "network_sha256")
SAME_EXAMPLE = ("image", "label", "prediction")
HEADER_FIELDS = (*SAME_IN_QUESTION, "settings")
CERTIFICATE_FIELDS = (
    "index",
    *SAME_EXAMPLE,
    "verdict",
    "rung",
    "margin",
    "rungs",
    "cause",
    "seconds",
)
ATTACK_FIELDS = (
    "index",
    *SAME_EXAMPLE,
    "success",
    "adversarial_prediction",
    "file",
    "distance",
    "seconds",
)
ATTACK_SETTINGS = ("attack", "steps", "restarts")  # the settings that a report reads
RADIUS_HEADER_FIELDS = ("threat", *SAME_IN_RUN, "settings")
RADIUS_FIELDS = ("index", *SAME_EXAMPLE, "radius", "rung", "trials", "seconds")
VERDICTS = ("certified", "falsified", "unknown")


class Inconsistent(RuntimeError):  # noqa: N818 - reads as a statement: raise Inconsistent(message)
    """Two records contradict each other, or one contradicts itself."""


def require(holds: bool, message: str) -> None:
    """Raises `Inconsistent(message)` unless `holds`."""
    if not holds:
        raise Inconsistent(message)


def check_same(rows: Mapping[str, Row], keys: Iterable[str], where: str) -> None:
    """Requires equal values under each of `keys` in all rows, by the name of their source."""
    for key in keys:
        values = {source: row[key] for source, row in rows.items()}
        listed = ", ".join(f"{value!r} in {source}" for source, value in values.items())
        require(len({repr(value) for value in values.values()}) <= 1, f"{where}: {key} is {listed}")


def check_domain(headers: Mapping[str, Row], where: str) -> None:
    """Requires that all headers are of inputs in one domain; a header without one is of [0, 1]."""
    domains = {name: {"domain": h.get("domain", UNIT.config())} for name, h in headers.items()}
    check_same(domains, ["domain"], where)


def check_fields(row: Row, fields: Iterable[str], where: str) -> None:
    """Requires that `row` has each of `fields`."""
    missing = [field for field in fields if field not in row]
    require(not missing, f"{where}: expected {', '.join(missing)}; the line has none")


def check_certificate(row: Row, where: str) -> None:
    """Requires that a line of certify.jsonl agrees with itself."""
    verdict, cause = row["verdict"], row["cause"]
    require(verdict in VERDICTS, f"{where}: verdict {verdict!r} is none of {VERDICTS}")
    correct = row["prediction"] == row["label"]
    if verdict == "certified":
        margin = row["margin"]
        require(margin is not None and margin > 0, f"{where}: certified with margin {margin}")
        rung = row["rungs"].get(row["rung"], {})
        require(
            rung.get("verdict") == "certified",
            f"{where}: certified by rung {row['rung']!r}, whose verdict is not certified",
        )
    counterexample = row.get("counterexample")
    if counterexample:
        fits = verdict == "falsified" and counterexample["prediction"] != row["label"]
        require(fits, f"{where}: a counterexample, yet {verdict}")
    require(
        cause != "attack" or bool(counterexample), f"{where}: attacked without a counterexample"
    )
    require(verdict != "unknown" or bool(cause), f"{where}: unknown without a cause")
    require(
        not (correct and cause == "misclassified"),
        f"{where}: predicted as its label, yet with cause 'misclassified'",
    )


def check_evidence(counterexample: Row | None, eps: float, where: str) -> None:
    """Requires that a ladder's counterexample, if any, lies within the radius."""
    if counterexample is not None:
        check_distance(counterexample, eps, where)


def check_attack(row: Row, eps: float, where: str) -> None:
    """Requires that a line of attack-*.jsonl agrees with itself.

    A misclassified example does not withstand, and a success has a stored counterexample.
    """
    check_distance(row, eps, where)
    if row["prediction"] != row["label"]:
        require(row["success"], f"{where}: misclassified, yet counted as withstanding the attack")
    elif row["success"]:
        require(row["file"] is not None, f"{where}: attacked without a stored counterexample")
        require(
            row["adversarial_prediction"] != row["label"],
            f"{where}: attacked, but the counterexample is classified as its label",
        )


def check_distance(row: Row, eps: float, where: str) -> None:
    """Requires that a stored counterexample has a distance, which is within the radius.

    A record without a stored counterexample has no distance.
    """
    distance = row["distance"]
    if row["file"] is None:
        require(distance is None, f"{where}: distance {distance} of no stored counterexample")
    else:
        within = distance is not None and 0.0 <= distance <= eps
        require(within, f"{where}: expected a distance in [0, {eps}]; received {distance}")


def check_order(row: Row, where: str) -> None:
    """Requires clean >= attacked >= certified on one merged example."""
    clean = row["correct"]
    attacks = [attack["success"] for attack in row["attacks"].values()]
    certified = (row["certificate"] or {}).get("verdict") == "certified"
    require(clean or not certified, f"{where}: certified but misclassified")
    require(clean or all(attacks), f"{where}: misclassified, yet withstanding an attack")
    require(not (certified and any(attacks)), f"{where}: certified and falsified on one question")
    require(
        not (certified and row.get("counterexample")), f"{where}: certified, with a counterexample"
    )


def check_across(questions: Iterable[tuple[str, float, list[Row]]]) -> None:
    """Requires that the questions (threat, eps, merged rows) of one network agree with one another.

    An example has one image, label and prediction everywhere, and one certified at eps has no
    counterexample of that threat at a distance up to eps, whatever radius the attack had.
    """
    seen: dict[int, tuple[str, Row]] = {}
    certified: dict[tuple[str, int], float] = {}
    table = sorted(questions, key=lambda question: -question[1])
    for threat, eps, rows in table:
        name = f"{threat}-{exactly(eps)}"
        for row in rows:
            index = row["index"]
            other, first = seen.setdefault(index, (name, row))
            check_same({other: first, name: row}, SAME_EXAMPLE, f"example {index}")
            if row["verdict"] == "certified":
                certified.setdefault((threat, index), eps)
    for threat, eps, rows in table:
        for row in rows:
            largest = certified.get((threat, row["index"]))
            _check_no_counterexample(row, threat, eps, largest)


def _check_no_counterexample(row: Row, threat: str, eps: float, largest: float | None) -> None:
    """Requires that no counterexample to an example is within its largest certified radius.

    row: the example's merged row of the question at `eps`. largest: None without a certificate.
    """
    if largest is None or row["verdict"] != "falsified":
        return
    stored = [*row["attacks"].values(), row.get("counterexample") or {}]
    distances = [record["distance"] for record in stored if record.get("distance") is not None]
    distance = min(distances, default=eps)
    require(
        distance > largest,
        f"example {row['index']}: certified at {threat} eps {largest}, falsified at {eps} "
        f"by a change of {exactly(distance)}",
    )


def check_radius(row: Row, nearest: float | None, where: str) -> None:
    """Requires that a line of certified radii agrees with itself and with the counterexamples.

    The radius is the largest eps of the trials that certified, and no counterexample is within it.
    nearest: the distance of the nearest counterexample, None without one.
    """
    certified = {trial["eps"]: trial["rung"] for trial in row["trials"] if trial["certified"]}
    best = max(certified, default=0.0)
    require(
        (row["radius"], row["rung"]) == (best, certified.get(best)),
        f"{where}: radius {row['radius']} by {row['rung']}, but the largest eps certified in its "
        f"trials is {best} by {certified.get(best)}",
    )
    require(
        nearest is None or row["radius"] < nearest,
        f"{where}: certified up to {row['radius']}, falsified by a change of {nearest}",
    )
