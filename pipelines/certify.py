"""Certifies the network of a run or of a file: `python -m pipelines.certify --model_dir=...`."""

import sys
from typing import Any

from pipelines.command import run_command
from pipelines.flags import evaluation as ours
from pipelines.flags.cluster import sharing_group
from pipelines.flags.run import run_group
from rt_tf.command_line import called

ABOUT = f"""Certifies the test split for the network of a finished run and refreshes its report;
or for a network of your own, around which it makes a run (docs/certify_your_model.md).

  {called("certify")} --model_dir=runs/digits/ibp --epsilon=0.02,0.08
  {called("certify")} --model_dir=runs/my --keras_file=my.keras --dataset=mnist --epsilon=.1
  {called("certify")} --model_dir=runs/my --onnx_file=my.onnx --dataset=mnist --epsilon=.1
"""
GROUPS = (
    run_group,
    ours.given_group,
    ours.threat_group,
    ours.radii_group,
    ours.ladder_group,
    ours.bound_group,
    sharing_group,
)


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    run_command(argv or sys.argv, ABOUT, GROUPS, certify)


def certify(session: Any, values: Any, progress: Any) -> None:
    """Certifies at the session's radii, rung by rung."""
    from pipelines.assembly.settings import certify_settings
    from rt_tf.evaluation import certifying

    radii = [(eps, values.samples) for eps in session.radii]
    certifying.certify(session.subject(), radii, certify_settings(values), progress)


if __name__ == "__main__":
    main()
