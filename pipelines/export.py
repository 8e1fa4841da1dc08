"""Exports a finished run's SavedModel: `python -m pipelines.export --model_dir=...`."""

import sys
from typing import Any

from pipelines.command import run_command
from pipelines.console import terminal
from pipelines.flags.evaluation import blessing_group, version_group
from pipelines.flags.run import run_group
from rt_tf.command_line import called
from rt_tf.errors import UserError

ABOUT = f"""Exports the SavedModel of a finished run, its report and model card inside; and, with a
bar, the verdict BLESSED or NOT_BLESSED beside it (exit status 1; docs/serving.md). With a version,
a copy of it in the layout of TensorFlow Serving, whose model_base_path is <model_dir>/served.

  {called("export")} --model_dir=runs/digits/ibp
  {called("export")} --model_dir=runs/digits/ibp --min_verified_accuracy=0.9
  {called("export")} --model_dir=runs/digits/ibp --export_version=1"""
GROUPS = (run_group, blessing_group, version_group)


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    run_command(argv or sys.argv, ABOUT, GROUPS, export, conclude)


def export(session: Any, values: Any, screen: Any) -> None:
    """Writes the SavedModel anew, without a verdict.

    UserError, and nothing is written, where a verdict is wanted and there are no certificates, or
    the version is another network's.
    """
    from pipelines.stages import blessing, publish

    if values.min_verified_accuracy is not None:
        blessing.check(session)
    elif values.epsilon is not None:
        raise UserError("epsilon: expected --min_verified_accuracy with --epsilon; received none")
    if values.export_version is not None:
        publish.is_published(session.run, values.export_version)  # refuses another network's
    publish.export_model(session.run, session.dataset, session.threat)
    exported = session.run.export
    terminal(soft_wrap=True).tell("exported", f"exported to {exported}", export=exported)


def bless(session: Any, values: Any, report: Any) -> str | None:
    """Writes the verdict if a bar is set; returns its line if it is NOT_BLESSED."""
    from pipelines.stages import blessing

    if values.min_verified_accuracy is None:
        return None
    verdict = blessing.bless(session, values.min_verified_accuracy, report)
    if not verdict.is_blessed:
        return verdict.line()
    terminal(soft_wrap=True).tell("verdict", verdict.line(), verdict=verdict.line())
    return None


def conclude(session: Any, values: Any, report: Any) -> str | None:
    """Judges the export, and copies it to its version, if any, unless it is NOT_BLESSED."""
    from pipelines.stages import publish

    refusal = bless(session, values, report)
    if refusal is None and values.export_version is not None:
        publish.export_version(session.run, values.export_version)
    return refusal


if __name__ == "__main__":
    main()
