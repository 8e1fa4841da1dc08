"""Attacks a finished run at any radii: `python -m pipelines.evaluate --model_dir=...`."""

import sys

from absl import flags

from pipelines import flags as ours
from pipelines.console import console, import_tensorflow, one_line_errors
from pipelines.parsing import parse
from pipelines.run_directory import trained_flags

ABOUT = """Attacks the test split of a finished run and refreshes its report.

  python -m pipelines.evaluate --model_dir=runs/digits/ibp --eval_restarts=10 --epsilon=8/255"""


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    makers = (ours.run_group, ours.radii_group, ours.attack_group, ours.starts_group)
    groups = [make(values) for make in makers]
    parse(argv or sys.argv, groups, ABOUT)
    with one_line_errors():
        trained = trained_flags(values.model_dir)
        import_tensorflow()
        from pipelines import publish, questions

        with publish.opened(values, trained) as finished:
            screen = console(values.quiet)
            subject = questions.subject(finished.run, finished.dataset, finished.threat)
            questions.attack(subject, finished.radii(values), values, screen)
            publish.report(finished.run, finished.dataset, screen)


if __name__ == "__main__":
    main()
