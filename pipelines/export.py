"""Exports a finished run's SavedModel: `python -m pipelines.export --model_dir=...`."""

import sys

from absl import flags

from pipelines import flags as ours
from pipelines.console import console, import_tensorflow, one_line_errors
from pipelines.parsing import parse
from pipelines.run_directory import trained_flags

ABOUT = """Exports the SavedModel of a finished run, its report and model card inside.

  python -m pipelines.export --model_dir=runs/digits/ibp"""


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    groups = [ours.run_group(values)]
    parse(argv or sys.argv, groups, ABOUT)
    with one_line_errors():
        trained = trained_flags(values.model_dir)
        import_tensorflow()
        from pipelines import publish

        with publish.opened(values, trained) as finished:
            publish.export_model(finished.run, finished.dataset, finished.threat)
            publish.report(finished.run, finished.dataset, console(values.quiet))
            print(f"exported to {finished.run.export}")


if __name__ == "__main__":
    main()
