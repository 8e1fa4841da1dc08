"""Exports a finished run's SavedModel: `python -m pipelines.export --model_dir=...`."""

import sys
from typing import Any

from pipelines.asking import ask
from pipelines.flags import run_group

ABOUT = """Exports the SavedModel of a finished run, its report and model card inside.

  python -m pipelines.export --model_dir=runs/digits/ibp"""
GROUPS = (run_group,)


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    ask(argv or sys.argv, ABOUT, GROUPS, export)


def export(found: Any, values: Any, screen: Any) -> None:
    """Writes the SavedModel anew."""
    from pipelines import publish

    publish.export_model(found.run, found.dataset, found.threat)
    print(f"exported to {found.run.export}")


if __name__ == "__main__":
    main()
