"""Records: one line per example and question, appended while running, merged into one verdict.

A question is (threat, eps) and has a directory `<threat>-<eps>` with `certify.jsonl` and
`attack-<id>.jsonl`: a header line, then a line an example. Where several processes share the
examples, there are parts of them, such as `certify-1of4.jsonl`. The merged `examples.jsonl` has:

    {"index", "image", "label", "prediction", "correct",
     "attacks": {id: {"success", "prediction", "file", "distance", "seconds"}},
     "certificate": {"verdict", "cause"} | null (no ladder ran), "rungs": {...},
     "searched": whether the ladder looks for counterexamples,
     "counterexample": {"rung", "file", "sha256", "distance", "prediction"} | null,
     "proof": file | null,
     "verdict": "certified" | "falsified" | "unknown", "rung", "margin",
     "cause": null | "misclassified" | "attack" | "loose" | "time" | "memory" | "infinite" |
               "incomplete" | "error" | "not_asked",
     "seconds": of the certificate}

`distance` is the size of the stored counterexample's move, in the unit of the threat's radius. An
`open` line is of an example without an answer yet, or that was tried by fewer rungs than its file's
header lists: it counts as unknown, and gives way to a later line of the example. A line ends with a
`checksum` of itself, and one that names a counterexample's file has its `sha256`; records of
earlier versions have neither.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rt_tf.catalogue import SEARCHES
from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.records.consistency import (
    ATTACK_FIELDS,
    ATTACK_SETTINGS,
    CERTIFICATE_FIELDS,
    HEADER_FIELDS,
    SAME_EXAMPLE,
    SAME_IN_QUESTION,
    SAME_IN_RUN,
    Inconsistent,
    check_across,
    check_attack,
    check_certificate,
    check_domain,
    check_evidence,
    check_fields,
    check_order,
    check_same,
    require,
)
from rt_tf.records.parts import CERTIFY, certificate_files, table_of, union
from rt_tf.records.record_file import RecordFile, Row, line, read
from rt_tf.records.verdict import decide

__all__ = ["Inconsistent", "Question", "RecordFile", "load", "merge", "question_name", "read"]


def question_name(threat: str, eps: float) -> str:
    """The name of a question's directory: `linf-0.05`; different radii have different names."""
    return f"{threat}-{eps!r}".removesuffix(".0")


@dataclass(frozen=True)
class Question:
    """The records of one (threat, eps): headers by file stem, merged rows sorted by index."""

    threat: str
    eps: float
    folder: Path
    headers: dict[str, Row]
    rows: list[Row]

    @property
    def name(self) -> str:
        """The name of the question's directory."""
        return question_name(self.threat, self.eps)

    @property
    def attacks(self) -> dict[str, Row]:
        """The settings of each attack, by its id."""
        return {
            name.removeprefix("attack-"): header["settings"]
            for name, header in self.headers.items()
            if name != "certify"
        }


def merge(question_dir: str | Path) -> list[Row]:
    """The merged rows of a question, one for each example; written to examples.jsonl atomically.

    Raises Inconsistent, and writes nothing, if any two records contradict each other.
    """
    return _load_question(Path(question_dir)).rows


def load(records_dir: str | Path) -> list[Question]:
    """The questions of a run, merged and checked against each other, sorted by threat and eps.

    Raises Inconsistent if any two records contradict each other.
    """
    folders = sorted(path for path in Path(records_dir).glob("*-*") if _tables(path))
    questions = [_load_question(folder) for folder in folders]
    headers = {q.name: next(iter(q.headers.values())) for q in questions}
    check_same(headers, SAME_IN_RUN, str(records_dir))
    check_across((_threat_with_settings(q), q.eps, q.rows) for q in questions)
    return sorted(questions, key=lambda q: (q.threat, q.eps))


def _threat_with_settings(question: Question) -> str:
    """The threat with its settings, such as a union's radii, which make it another threat."""
    settings = next(iter(question.headers.values())).get("threat_settings")
    return f"{question.threat} {settings}" if settings else question.threat


def _tables(folder: Path) -> list[Path]:
    return [*certificate_files(folder), *sorted(folder.glob("attack-*.jsonl"))]


def _load_question(folder: Path) -> Question:
    files = _files(folder)
    headers = {name: header for name, (header, _) in files.items()}
    check_same(headers, SAME_IN_QUESTION, folder.name)
    check_domain(headers, folder.name)
    settings = {
        name: {"threat_settings": h.get("threat_settings", {})} for name, h in headers.items()
    }
    check_same(settings, ["threat_settings"], folder.name)
    header = next(iter(headers.values()))
    name = question_name(header["threat"], header["eps"])
    require(name == folder.name, f"{folder.name}: its records are of {name}")
    tables = {name: {row["index"]: row for row in rows} for name, (_, rows) in files.items()}
    indices = sorted(set().union(*tables.values()))
    searched = _searched(headers.get(CERTIFY))
    merged = [
        {**_merge_example(index, tables, folder, header["eps"]), "searched": searched}
        for index in indices
    ]
    write_bytes(folder / "examples.jsonl", b"".join(map(line, merged)))
    return Question(header["threat"], header["eps"], folder, headers, merged)


def _files(folder: Path) -> dict[str, tuple[Row, list[Row]]]:
    """Headers and rows by table; the parts of the table of certificates are joined."""
    headers: dict[str, Row] = {}
    tables: dict[str, list[list[Row]]] = defaultdict(list)
    for path in _tables(folder):
        header, rows = read(path)
        name = table_of(path.stem)
        require(
            headers.setdefault(name, header) == header,
            f"{path}: its header differs from another part's",
        )
        _check_whole(name, header, rows, f"{folder.name}/{path.stem}")
        tables[name].append(rows)
    if not headers:
        raise UserError(f"{folder}: expected certify.jsonl or attack-<id>.jsonl; there is neither")
    return {name: (headers[name], _join(tables[name], f"{folder.name}/{name}")) for name in headers}


def _join(parts: Sequence[list[Row]], where: str) -> list[Row]:
    """The lines of a table's parts, which must not contradict each other."""
    if len(parts) == 1:
        return parts[0]
    rows = union(parts)
    verdicts = {row["index"]: row.get("verdict") for row in rows}
    for row in itertools.chain.from_iterable(parts):
        agrees = row.get("verdict") in ("unknown", verdicts[row["index"]])
        require(agrees, f"{where}, example {row['index']}: parts have different verdicts")
    return rows


def _check_whole(name: str, header: Row, rows: Sequence[Row], where: str) -> None:
    check_fields(header, HEADER_FIELDS, f"{where}, header")
    fields = CERTIFICATE_FIELDS if name == "certify" else ATTACK_FIELDS
    if name != "certify":
        check_fields(header["settings"], ATTACK_SETTINGS, f"{where}, settings")
    for number, row in enumerate(rows, start=2):
        check_fields(row, fields, f"{where}, line {number}")
    indices = {row["index"] for row in rows}
    require(len(indices) == len(rows), f"{where}: an example is recorded twice")


def _searched(header: Row | None) -> bool:
    """Whether a ladder has a rung that searches for counterexamples. header: of its records."""
    return header is not None and not SEARCHES.keys().isdisjoint(
        header["settings"].get("rungs", [])
    )


def _merge_example(
    index: int, tables: Mapping[str, Mapping[int, Row]], folder: Path, eps: float
) -> Row:
    where = f"{folder.name}, example {index}"
    records = {name: table[index] for name, table in tables.items() if index in table}
    check_same(records, SAME_EXAMPLE, where)
    certificate = records.get("certify")
    attacks = {name.removeprefix("attack-"): records[name] for name in records if name != "certify"}
    if certificate:
        check_certificate(certificate, where)
        counterexample = certificate.get("counterexample")
        check_evidence(counterexample, eps, where)
        _check_stored(folder, counterexample or {}, where)
        _check_stored(folder, {"file": certificate.get("proof")}, where)
    for name, attack in attacks.items():
        check_attack(attack, eps, f"{where}, {name}")
        _check_stored(folder, attack, where)
    merged = _merged(next(iter(records.values())), certificate, attacks)
    check_order(merged, where)
    return merged


def _check_stored(folder: Path, row: Row, where: str) -> None:
    """Requires that a record's file is there, and undamaged where its checksum is recorded."""
    file, stated = row.get("file"), row.get("sha256")
    require(file is None or (folder / file).exists(), f"{where}: {file} is missing")
    if file is not None and stated is not None:
        actual = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        require(actual == stated, f"{where}: {file} is damaged: its checksum differs")


def _merged(example: Row, certificate: Row | None, attacks: Mapping[str, Row]) -> Row:
    correct = example["prediction"] == example["label"]
    ladder: Row = certificate or {"verdict": "unknown", "cause": "not_asked"}
    falsified = ladder["verdict"] == "falsified" or any(row["success"] for row in attacks.values())
    verdict, cause = decide(correct, ladder["verdict"] == "certified", falsified, ladder["cause"])
    return {
        **{key: example[key] for key in ("index", *SAME_EXAMPLE)},
        "correct": correct,
        "attacks": {name: _attack(row) for name, row in attacks.items()},
        "certificate": certificate and {key: certificate[key] for key in ("verdict", "cause")},
        "rungs": ladder.get("rungs", {}),
        "verdict": verdict,
        "rung": ladder.get("rung"),
        "margin": ladder.get("margin"),
        "cause": cause,
        "counterexample": ladder.get("counterexample"),
        "proof": ladder.get("proof"),
        "seconds": ladder.get("seconds"),
    }


def _attack(row: Row) -> Row:
    return {
        "success": row["success"],
        "prediction": row["adversarial_prediction"],
        "file": row["file"],
        "distance": row["distance"],
        "seconds": row["seconds"],
    }
