"""Exports a finished run's SavedModel with its report: `python -m pipelines.export --model_dir=...`."""

import sys

from absl import flags

from pipelines import flags as ours
from pipelines.console import console, one_line_errors
from pipelines.parsing import parse

ABOUT = """Exports the SavedModel of a finished run, its report and model card inside.

  python -m pipelines.export --model_dir=runs/digits/ibp"""


def main(argv: list[str] | None = None) -> None:
    values = flags.FLAGS
    groups = [ours.run_group(values)]
    parse(argv or sys.argv, groups, ABOUT)
    with one_line_errors():
        from pipelines import publish

        with publish.opened(values) as finished:
            publish.export_model(finished.run, finished.dataset, finished.threat)
            publish.report(finished.run, finished.dataset, console(values.quiet))
            print(f"exported to {finished.run.export}")


if __name__ == "__main__":
    main()
