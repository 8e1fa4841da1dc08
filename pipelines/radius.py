"""Searches certified radii by example: `python -m pipelines.radius --model_dir=...`."""

import sys
from typing import Any

from pipelines.command import run_command
from pipelines.flags import evaluation as ours
from pipelines.flags.cluster import sharing_group
from pipelines.flags.run import run_group
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text

ABOUT = f"""Searches, for each test image, the largest radius that has a certificate of the class
that the network gives it, and refreshes the report of the run.

  {called("radius")} --model_dir=runs/digits/ibp
  {called("radius")} --model_dir=runs/digits/ibp --epsilon=0.3 --rungs=crown,alpha_crown
"""
GROUPS = (run_group, ours.radius_group, ours.threat_group, ours.bound_group, sharing_group)
TIMES_OWN = 4.0  # the largest radius by default, in units of the run's own


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    run_command(argv or sys.argv, ABOUT, GROUPS, search)


def search(session: Any, values: Any, progress: Any) -> None:
    """Searches certified radii up to --epsilon, or up to four times the run's own radius."""
    from pipelines.assembly.settings import radius_settings
    from rt_tf.evaluation.certified_radii import search_radii
    from rt_tf.threats.region import largest_radius

    if len(session.radii) > 1:
        received = ", ".join(map(radius_text, session.radii))
        raise UserError(f"epsilon: expected one radius, the largest to try; received {received}")
    largest = session.radii[0]
    if values.epsilon is None:
        largest = min(TIMES_OWN * largest, largest_radius(session.threat, session.dataset.domain))
    search_radii(session.subject(), largest, radius_settings(values), progress)


if __name__ == "__main__":
    main()
