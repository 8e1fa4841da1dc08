"""Words on the data of a report: the examples, their classes and columns.

`data` is that of the report's schema throughout.
"""

from __future__ import annotations

from rt_tf.domain import Domain
from rt_tf.records.record_file import Row
from rt_tf.reporting.formats import TIMES


def class_name(data: Row, label: int) -> str:
    """The name of a label's class, or the label where classes have no names."""
    names = data.get("class_names")
    return str(names[label]) if names else str(label)


def data_name(data: Row) -> str:
    """The name of a data set, with its version if it has one."""
    return f"{data['name']} {data['version']}".strip()


def examples_text(data: Row) -> str:
    """The word for examples: images, or rows of a table."""
    return "rows" if _is_table(data) else "images"


def input_text(data: Row) -> str:
    """The input of a network in words."""
    domain = Domain.from_config(data["domain"])
    if _is_table(data):
        return f"{data['shape'][0]} columns, values in {domain}"
    return f"image {f' {TIMES} '.join(map(str, data['shape']))}, pixels in {domain}"


def data_facts(data: Row) -> dict[str, str]:
    """Names of classes, the scaling of columns and notes on the reading, by name, if there are any.

    Classes that are called by their numbers have no names.
    """
    names = list(data.get("class_names") or [])
    columns = data.get("columns")
    facts = {
        "classes": "" if names == list(map(str, range(len(names)))) else ", ".join(names),
        "columns": _columns_text(columns) if columns else "",
        "reading": "; ".join(data.get("notes") or []),
    }
    return {name: text for name, text in facts.items() if text}


def _is_table(data: Row) -> bool:
    return len(data["shape"]) == 1


def _columns_text(columns: Row) -> str:
    scaled = [
        f"{column['name']} ({column['offset']:.6g}, {column['unit']:.6g})"
        for column in columns["each"]
    ]
    return f"read as (value - offset) / unit, with (offset, unit): {', '.join(scaled)}"
