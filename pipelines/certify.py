"""Certifies a finished run at any radii: `python -m pipelines.certify --model_dir=...`."""

import sys

from absl import flags

from pipelines import flags as ours
from pipelines.console import console, import_tensorflow, one_line_errors
from pipelines.parsing import parse
from pipelines.run_directory import trained_flags

ABOUT = """Certifies the test split of a finished run and refreshes its report.

  python -m pipelines.certify --model_dir=runs/digits/ibp --epsilon=0.02,0.08"""


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    groups = [ours.run_group(values), ours.radii_group(values), ours.certify_group(values)]
    parse(argv or sys.argv, groups, ABOUT)
    with one_line_errors():
        trained = trained_flags(values.model_dir)
        import_tensorflow()
        from pipelines import publish, questions

        with publish.opened(values, trained) as finished:
            screen = console(values.quiet)
            subject = questions.subject(finished.run, finished.dataset, finished.threat)
            questions.certify(subject, finished.radii(values), list(values.rungs), screen)
            publish.report(finished.run, finished.dataset, screen)


if __name__ == "__main__":
    main()
