"""A report in words: the terminal's table, Markdown for TensorBoard, the model card."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from rt_tf.exactly import radius_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks.text import has_attacks, sanity_markdown, suite_markdown
from rt_tf.reporting.data_text import data_facts, data_name, examples_text, input_text
from rt_tf.reporting.formats import cell, code, comparison_text, plain, short
from rt_tf.reporting.summary import by_threat, main_question, weaker

ACCURACIES = ("clean", "attacked", "certified")


def terminal_table(report: Row) -> Table:
    """The last output of the train command: accuracies by radius, the run's own radius in bold."""
    title = f"{report['system']} on the {_split(report)}"
    notes = ["attacked: an upper limit, certified: proved; (95 % intervals)"]
    caption = Text("\n".join([*notes, *_cautions(report)]))
    table = Table(title=Text(title), caption=caption, box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_style = "bold"
    table.add_column("radius", no_wrap=True)
    for name, colour in zip(ACCURACIES, ("", "yellow", "green"), strict=True):
        table.add_column(f"{name} %", style=colour, justify="right")
    questions = list(chain.from_iterable(by_threat(report).values()))
    others = weaker(report)
    for name in others.values():
        table.add_column(f"{name} %", justify="right")
    samples = [_samples(question) for question in questions]
    differ = len(set(samples)) > 1 or "/" in samples[0]
    if differ:
        table.add_column("images", justify="right")
    for question, images in zip(questions, samples, strict=True):
        style = "bold" if question["name"] == report["main"] else ""
        cells = [short(question[a]) for a in (*ACCURACIES, *others)]
        table.add_row(_place(question), *cells, *([images] if differ else []), style=style)
    return table


def summary_text(report: Row) -> str:
    """Markdown of the result: the claim, the accuracies by radius, the attacks."""
    return "\n".join([_result(report), *_attacks(report)])


def _result(report: Row) -> str:
    others = weaker(report)
    rows = [
        [_place(q), *(cell(q[a]) for a in (*ACCURACIES, *others))]
        for q in chain.from_iterable(by_threat(report).values())
    ]
    names = ["radius", *ACCURACIES, *others.values()]
    head = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    title = f"**{plain(report['system'])}**, {plain(_split(report))}. {report['claim']['sentence']}"
    table = [*head, *(f"| {' | '.join(row)} |" for row in rows)]
    cautions = [f"- {plain(text)}" for text in _cautions(report)]
    return "\n".join([title, "", *table, "", *cautions, *([""] if cautions else [])])


def model_card(report: Row) -> str:
    """The card of the exported model: its origin, what is proved, and the limits."""
    model, data, provenance = report["model"], report["data"], report["provenance"]
    versions = ", ".join(f"{name} {v}" for name, v in (provenance["versions"] or {}).items())
    question = main_question(report)
    sections = {
        f"# {plain(report['system'])}": _result(report),
        "## Model": _list(
            {
                "architecture": f"{plain(model['name'])}, {model['parameters']:,} parameters",
                "input": input_text(data),
                "output": "one logit per class",
                "network SHA-256": f"`{model['network_sha256']}`",
                **_origin(model["given"]),
            }
        ),
        "## Data": _list(
            {
                "data set": f"{plain(data_name(data))}, {data['classes']} classes",
                **{name: plain(text) for name, text in data_facts(data).items()},
                "evaluated on": f"{plain(_split(report))} (indices {data['sample']['indices']})",
                "split SHA-256": f"`{data['checksum']}`",
            }
        ),
        "## Threat": report["claim"]["threat"] + ".",
        "## Evidence": _lines(
            [*_evidence(question, provenance["flags"]), *radius_lines(report)],
        ),
        **({"## Attacks": "\n".join(_attacks(report))} if has_attacks(report) else {}),
        "## Limits": _lines(report["claim"]["limits"]),
        "## Provenance": _list(
            {
                "seed": "none" if provenance["seed"] is None else provenance["seed"],
                "rt_tf": code_text(provenance["code"]),
                "written": report["created"],
                "versions": versions,
            }
        ),
    }
    return "\n\n".join(f"{head}\n\n{body.rstrip()}" for head, body in sections.items()) + "\n"


def _cautions(report: Row) -> list[str]:
    """Lines beside the accuracies: reasons why the attacked ones may flatter the network."""
    return [f"warning: {text}" for text in report["warnings"]]


def _origin(origin: Row | None) -> dict[str, str]:
    """The origin of a network that was not trained here, and the changes made to it.

    origin: `given` of the report's schema.
    """
    if origin is None:
        return {}
    notes = [f"{code(origin['file'])}, not trained here", *map(plain, origin["notes"])]
    facts = {"given as": "; ".join(notes), "file SHA-256": f"`{origin['sha256']}`"}
    if origin.get("comparisons"):  # runs of earlier versions have none
        facts["as in its file"] = plain(comparison_text(origin["comparisons"]))
    return facts


def radius_lines(report: Row) -> list[str]:
    """A sentence on each threat's certified radii, where they were searched."""
    return [_radius_line(radius) for radius in report["radii"]]


def _radius_line(radius: Row) -> str:
    right, wrong = radius["correct"], radius["misclassified"]
    parts = [f"{name} {count:,}" for name, count in radius["rungs"].items()]
    of = [
        f"mean {part['mean']:.4g}, median {part['median']:.4g} of {part['n']:,} {kind} images"
        for kind, part in (("right", right), ("misclassified", wrong))
        if part
    ]
    up_to = f"{radius['threat']}, up to {radius_text(radius['largest'])}"
    return f"certified radius ({up_to}): {'; '.join(of)}; by {', '.join(parts)}"


def _evidence(question: Row, flags: Row | None) -> list[str]:
    certificate = question["certificate"]
    rungs = [f"{r['rung']} {r['credited']:,}" for r in (certificate or {"rungs": []})["rungs"]]
    attacks = [f"{a['id']}: {cell(a['attacked'])} withstood" for a in question["attacks"]]
    if certificate and certificate["inferred"]:
        rungs.append(f"certificates at larger radii {certificate['inferred']:,}")
    proved = "certified by " + ", ".join(rungs) if rungs else "no ladder was run"
    published = (flags or {}).get("published")
    beside = [f"published for this system, clean / attacked / certified: {plain(str(published))}"]
    return [proved, *attacks, *(beside if published else [])]


def _attacks(report: Row) -> list[str]:
    """Every suite's table, and the results of the sanity checks."""
    if not has_attacks(report):
        return []
    tables = [suite_markdown(suite) for suite in report["suites"]]
    return [*tables, "Sanity of the attacks:", "", sanity_markdown(report), ""]


def code_text(code: Row | None) -> str:
    """The version and commit of the code that began a run: `0.1.0, commit 0123abc, ...`."""
    if code is None:
        return "not noted"
    changed = {True: ", changed since", False: ", unchanged", None: ""}[code["changed"]]
    commit = f", commit {code['commit']}" if code["commit"] else ", not from its repository"
    return f"{code['version']}{commit}{changed}"


def _place(question: Row) -> str:
    return f"{question['threat']} {radius_text(question['epsilon'])}"


def _samples(question: Row) -> str:
    """The number of images of each accuracy: `360`, or `360/100/360` if the numbers differ."""
    sizes = [str(question[a]["n"] if question[a] else 0) for a in ACCURACIES]
    return sizes[0] if len(set(sizes)) == 1 else "/".join(sizes)


def _split(report: Row) -> str:
    data = report["data"]
    n, size = data["sample"]["n"], data["size"]
    count = f"all {n:,}" if n == size else f"{n:,} of {size:,}"
    return f"{data['name']} {data['split']} split, {count} {examples_text(data)}"


def _list(facts: dict[str, Any]) -> str:
    return _lines([f"{name}: {value}" for name, value in facts.items()])


def _lines(facts: Sequence[str]) -> str:
    return "\n".join(f"- {fact}" for fact in facts)
