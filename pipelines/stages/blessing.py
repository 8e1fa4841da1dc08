"""The blessing of an export: whether it is proved well enough to be served."""

from pathlib import Path

from pipelines.console import flag
from pipelines.stages.session import RunSession
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.records import parts
from rt_tf.records.merge import question_name, read
from rt_tf.records.record_file import Row
from rt_tf.reporting import blessing
from rt_tf.serving import saved_model


def check(session: RunSession) -> None:
    """Raises UserError unless the one question of the verdict has certificates."""
    if not session.threat.has_support:
        raise UserError(
            "min_verified_accuracy: expected a run whose threat has certificates; "
            f"received {session.threat.name}"
        )
    if len(session.radii) != 1:
        raise UserError(f"epsilon: expected one radius; received {len(session.radii)}")
    if not _is_asked(session.run.records / _name(session)):
        (eps,) = session.radii
        there = sorted(path.name for path in session.run.records.glob("*-*") if _is_asked(path))
        certify = f"{called('certify')} {flag('model_dir', session.run.path)} --epsilon={eps!r}"
        raise UserError(
            f"min_verified_accuracy: expected certificates at {_name(session)}; there are "
            f"{', '.join(there) or 'none'}; {certify} asks for them"
        )


def bless(session: RunSession, bar: float, report: Row) -> blessing.Blessing:
    """Writes the verdict beside the SavedModel, from the report just written."""
    question = next(q for q in report["questions"] if q["name"] == _name(session))
    verdict = blessing.Blessing(question, bar, report["model"]["network_sha256"])
    blessing.write(session.run.export, verdict)
    saved_model.attach(session.run.export, {})
    return verdict


def _name(session: RunSession) -> str:
    return question_name(session.threat.name, session.radii[0])


def _is_asked(folder: Path) -> bool:
    return any(read(path)[1] for path in parts.certificate_files(folder))
