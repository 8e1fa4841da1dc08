"""Blessing an export: whether enough is proved of it to be served."""

from pathlib import Path

from pipelines.console import flag
from pipelines.stages.session import RunSession
from rt_tf.errors import UserError
from rt_tf.records import parts
from rt_tf.records.merge import question_name, read
from rt_tf.records.record_file import Row
from rt_tf.reporting import blessing
from rt_tf.serving import saved_model


def check(found: RunSession) -> None:
    """UserError unless the one question that the verdict is about has been asked."""
    if not found.threat.has_support:
        raise UserError(
            "min_verified_accuracy: expected a run whose threat has certificates; "
            f"received {found.threat.name}"
        )
    if len(found.radii) != 1:
        raise UserError(f"epsilon: expected one radius; received {len(found.radii)}")
    if not _is_asked(found.run.records / _name(found)):
        (eps,) = found.radii
        there = sorted(path.name for path in found.run.records.glob("*-*") if _is_asked(path))
        raise UserError(
            f"min_verified_accuracy: expected certificates at {_name(found)}; there are "
            f"{', '.join(there) or 'none'}; python -m pipelines.certify "
            f"{flag('model_dir', found.run.path)} --epsilon={eps!r} asks for them"
        )


def bless(found: RunSession, bar: float, report: Row) -> blessing.Blessing:
    """Writes the verdict beside the SavedModel that was just written and reported on."""
    question = next(q for q in report["questions"] if q["name"] == _name(found))
    verdict = blessing.Blessing(question, bar, report["model"]["network_sha256"])
    blessing.write(found.run.export, verdict)
    saved_model.attach(found.run.export, {})
    return verdict


def _name(found: RunSession) -> str:
    return question_name(found.threat.name, found.radii[0])


def _is_asked(folder: Path) -> bool:
    return any(read(path)[1] for path in parts.certificate_files(folder))
