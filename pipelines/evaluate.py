"""Attacks a run's network at any radii: `python -m pipelines.evaluate --model_dir=...`."""

import sys
from typing import Any

from pipelines.command import run_command
from pipelines.flags import evaluation as ours
from pipelines.flags.cluster import sharing_group
from pipelines.flags.run import run_group
from rt_tf.command_line import called

ABOUT = f"""Attacks the test split for the network of a finished run and refreshes its report.

  {called("evaluate")} --model_dir=runs/digits/ibp --suite=standard
  {called("evaluate")} --model_dir=runs/digits/ibp --eval_restarts=10 --epsilon=8/255"""
GROUPS = (
    run_group,
    ours.suite_group,
    ours.radii_group,
    ours.threat_group,
    ours.attack_group,
    ours.starts_group,
    sharing_group,
)


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    run_command(argv or sys.argv, ABOUT, GROUPS, attack)


def attack(session: Any, values: Any, progress: Any) -> None:
    """Runs a suite, or a single attack at the session's radii."""
    from pipelines.assembly.settings import evaluation_settings
    from pipelines.runs.sources import load_source
    from rt_tf.evaluation.suites import Evaluation

    subject = session.subject()
    sources = [load_source(path, subject) for path in values.transfer_from or ()]
    settings = evaluation_settings(values, sources)
    Evaluation(subject, session.radii, settings, progress).run()


if __name__ == "__main__":
    main()
