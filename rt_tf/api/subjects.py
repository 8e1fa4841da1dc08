"""A model and a user's examples as the subject of an evaluation."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from rt_tf.api.inputs import DEFAULT, examples_of, full_float32, network_of, radius_of, threat_of
from rt_tf.data.arrays import ArrayExamples
from rt_tf.domain import Given
from rt_tf.evaluation.subject import Subject
from rt_tf.evaluation.terminal import TerminalProgress
from rt_tf.models.inputs import spread
from rt_tf.progress import Progress, Silent
from rt_tf.serving.endpoints import InProcess
from rt_tf.serving.saved_model import network_checksum
from rt_tf.threats.region import Threat


@contextlib.contextmanager
def subject_of(
    model: Any,
    data: Any,
    labels: Any = None,
    *,
    threat: Any = None,
    norm: Any = None,
    eps: Any = None,
    domain: Given = DEFAULT,
    path: str | Path | None = None,
) -> Iterator[tuple[Subject, float]]:
    """The subject and the radius of a call.

    path: the folder of its records, which are taken up from there; None for a temporary one. eps:
    None in calls that need no radius, which get 0. UserError for arguments that do not fit.
    """
    network = network_of(model, domain)
    examples = examples_of(network, data, labels)
    resolved, radius = threat_of(threat, norm), 0.0
    if eps is not None:
        eps = eps if network.several is None else _by_number(network.several, eps)
        resolved, radius = radius_of(resolved, eps, network.domain)
    with contextlib.ExitStack() as stack:
        stack.enter_context(full_float32())
        folder = path or stack.enter_context(tempfile.TemporaryDirectory(prefix="rt_tf-"))
        yield _subject(network, examples, resolved, Path(folder)), radius


def _subject(network: Any, examples: ArrayExamples, threat: Threat, folder: Path) -> Subject:
    return Subject(
        members=network.members,
        served=InProcess(network.keras_model, threat, network.domain),
        test=examples,
        threat=threat,
        own_threat=threat.name,
        checksum=network_checksum(network.keras_model),
        records=folder,
    )


def _by_number(network: keras.Model, eps: Any) -> Any:
    """Radii by input's name as radii by number, 0 for inputs without; other radii as they are."""
    return spread(network, eps, "eps", 0.0) if isinstance(eps, Mapping) else eps


def progress_of(progress: bool | Progress | None) -> Progress:
    """The progress of a call. progress: False for none; None or True for a terminal or notebook."""
    if progress is None or progress is True:
        return TerminalProgress(Console(stderr=True, markup=False, emoji=False, highlight=False))
    return Silent() if progress is False else progress
