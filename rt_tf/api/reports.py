"""Reports, exports and finished runs from Python."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

import rt_tf.models  # noqa: F401 - tells Keras of this library's layers
from rt_tf import models, zoo
from rt_tf.api.inputs import DEFAULT, UserNetwork, full_float32, network_of, threat_of
from rt_tf.api.subjects import progress_of, subject_of
from rt_tf.catalogue.suites import QUICK, SUITES
from rt_tf.certification.rung import TIME_LIMIT
from rt_tf.domain import Domain, Given
from rt_tf.errors import UserError, refuse_unknown
from rt_tf.evaluation import certifying, proving
from rt_tf.evaluation.certifying import CertifySettings
from rt_tf.evaluation.subject import Subject
from rt_tf.evaluation.suites import Evaluation, EvaluationSettings
from rt_tf.notes import read_notes, write_notes
from rt_tf.progress import Progress
from rt_tf.records import merge
from rt_tf.records.record_file import Row
from rt_tf.reporting.provenance import surroundings
from rt_tf.reporting.report import write_report
from rt_tf.serving import saved_model
from rt_tf.training.loop.checkpoints import save_network

PROBES = 100  # images on which an export is compared with its network


def report(
    model: Any,
    test: Any,
    eps: Any,
    path: str | Path,
    *,
    suite: str | None = None,
    threat: Any = None,
    norm: Any = None,
    domain: Given = DEFAULT,
    rungs: Any = None,
    time_limit: float = TIME_LIMIT,
    title: str | None = None,
    progress: bool | Progress | None = None,
) -> Row:
    """Certifies and attacks a model's test examples, and writes a report of what holds.

    test: (images [n, ...], labels [n]), or a `tf.data.Dataset` of such pairs. path: a folder, which
    gets report/report.html, report/report.json, the records by example, proofs for
    `python -m pipelines.check`, and the network; the same call goes on there. suite: of attacks, as
    in `rt_tf.attack`; PGD on the log-odds by default. title: the name of the model in the report;
    by default that of the Keras model. model, eps, threat, norm, domain, rungs, time_limit,
    progress: as in `rt_tf.certify`. Returns the content of report.json.

    UserError for what does not fit, and for a folder of another model or other examples.
    """
    path = Path(path)
    if suite is not None:
        refuse_unknown("suite", suite, SUITES)
    options = {"threat": threat, "norm": norm, "eps": eps, "domain": domain}
    with subject_of(model, test, **options, path=path / "records") as (subject, radius):
        network = network_of(model, domain)
        _note(path, network, subject, radius, title or network.keras_model.name)
        save_network(network.keras_model, path / "best" / "network.keras")
        shown, settings = progress_of(progress), CertifySettings(rungs, {}, time_limit)
        if subject.threat.has_support:
            certifying.certify(subject, [(radius, 0)], settings, shown)
        attacks = EvaluationSettings(suite=suite, budget=QUICK)
        Evaluation(subject, [radius], attacks, shown).run()
        written = write_report(path, originals=subject.test.images)
        proving.write(network.keras_model, path / "records", path / "proofs", subject.test.images)
    return written


def _note(path: Path, network: UserNetwork, subject: Subject, eps: float, title: str) -> None:
    """Notes the model and the examples of a report; UserError for a folder of other ones."""
    facts = {
        "system": title,
        "seed": None,
        "flags": {"threat": subject.threat.name, "epsilon": eps},
        "dataset": _dataset(subject),
        "network_sha256": subject.checksum,
        "model": {
            "name": network.keras_model.name,
            "parameters": network.keras_model.count_params(),
            "hidden_units": models.hidden_units(network.keras_model),
        },
    }
    file = path / "run.json"
    if file.exists():
        before = read_notes(file)
        for name in ("network_sha256", "dataset"):
            if before.get(name) != json.loads(json.dumps(facts[name])):
                raise UserError(
                    f"path: expected a new folder, or one with a report of this model and these "
                    f"examples; {path} has a report of others"
                )
    elif path.exists() and any(path.iterdir()):
        raise UserError(f"path: expected a new or an empty folder; {path} holds other files")
    write_notes(file, {**facts, **surroundings()})


def _dataset(subject: Subject) -> dict[str, Any]:
    wiring, test = subject.wiring, subject.test
    return {
        "name": "arrays",
        "version": "",
        "classes": wiring.classes,
        "shape": list(wiring.input_shape),
        "pixel_max": None,
        "domain": wiring.domain.config(),
        "test": {"size": len(test), "checksum": test.checksum},
    }


def export(
    model: Any, path: str | Path, *, threat: Any = None, norm: Any = None, domain: Given = DEFAULT
) -> Path:
    """Writes a SavedModel that certifies what it predicts, and checks it against the model.

    Its endpoints are those of `rt_tf.serving.endpoints`: serve, certify, radius. model, threat,
    norm, domain: as in `rt_tf.certify`. path: the folder to write, which is returned. UserError,
    and nothing is written, where the folder holds anything but an earlier export, or the SavedModel
    does not compute what the model does.

    >>> import keras, rt_tf, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> folder = tempfile.TemporaryDirectory()
    >>> served = rt_tf.export(model, folder.name + "/served", threat="linf")
    >>> served.joinpath("saved_model.pb").exists()
    True
    """
    network, path = network_of(model, domain), Path(path)
    images = _probes(network)
    with full_float32():
        try:
            chosen_threat = threat_of(threat, norm)
            saved_model.export(network.keras_model, chosen_threat, images, path, network.domain)
        except saved_model.ParityError as error:
            raise UserError(
                f"export: expected the SavedModel to compute what the model does; {error}; {path} "
                "is as it was"
            ) from error
    return path


def _probes(network: UserNetwork) -> np.ndarray:
    """Random inputs of the domain, from a range of width 1 where it has no ends: [PROBES, ...]."""
    domain, shape = network.domain, (PROBES, *network.members[0].input_shape)
    lower = np.where(np.isfinite(domain.lower), domain.lower, -0.5)
    upper = np.where(np.isfinite(domain.upper), domain.upper, lower + 1.0)
    images = np.random.default_rng(0).uniform(lower, upper, shape).astype(np.float32)
    return np.clip(images, domain.lower, domain.upper)


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A finished run, or a folder that `report` wrote.

    model: its network. domain: of the network's input. report: the content of report.json. flags:
    of the run, or the threat and the radius of the report.
    """

    path: Path
    model: keras.Model
    domain: Domain
    report: Row
    flags: dict[str, Any]

    @property
    def records(self) -> list[merge.Question]:
        """The records by example of each threat at each radius."""
        return merge.load(self.path / "records")


def load(path: str | Path) -> Run:
    """A finished run, or a folder that `report` wrote: its model, its records and its report.

    path: the folder, or a network of the zoo (without records), such as zoo:mnist/goal_01.
    UserError for another folder, and for a run that is not finished.
    """
    path = zoo.folder(str(path)) if str(path).startswith(zoo.PREFIX) else Path(path)
    files = [path / "run.json", path / "best" / "network.keras", path / "report" / "report.json"]
    missing = [str(file.relative_to(path)) for file in files if not file.exists()]
    if missing:
        raise UserError(
            f"path: expected a finished run, or a folder of rt_tf.report; {path} lacks "
            f"{', '.join(missing)}"
        )
    facts = read_notes(files[0])
    return Run(
        path,
        keras.models.load_model(files[1]),
        Domain.from_config(facts["dataset"].get("domain", {"lower": 0.0, "upper": 1.0})),
        json.loads(files[2].read_text()),
        facts["flags"],
    )
