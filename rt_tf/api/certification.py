"""Certificates from Python: verdicts at a radius, and certified radii."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rt_tf.api.inputs import DEFAULT
from rt_tf.api.subjects import progress_of, subject_of
from rt_tf.domain import Given
from rt_tf.errors import UserError
from rt_tf.evaluation import certifying
from rt_tf.evaluation.certified_radii import RadiusSettings, search_radii
from rt_tf.evaluation.certifying import TIME_LIMIT, CertifySettings
from rt_tf.evaluation.subject import Subject
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.records.record_file import Row
from rt_tf.reporting.formats import cell
from rt_tf.reporting.statistics import rate
from rt_tf.threats.region import largest_radius


@dataclasses.dataclass(frozen=True, eq=False)
class Certification:
    """The result of `certify` for n examples.

    threat, eps: of the region. labels: int64 [n], the classes that the network is to give
    everywhere in the region. predictions: int64 [n], its classes for the images themselves.
    verdicts: [n] texts, certified, falsified or unknown. margins: float64 [n], lower bounds of the
    label's logit less any other's on the region, nan where there is none. rungs: [n], the names of
    those that certified, or None. seconds: [n]. counterexamples: by example's number, an input of
    the region to which the network gives another class than the label.
    """

    threat: str
    eps: float
    labels: np.ndarray
    predictions: np.ndarray
    verdicts: np.ndarray
    margins: np.ndarray
    rungs: np.ndarray
    seconds: np.ndarray
    counterexamples: Mapping[int, np.ndarray]

    @property
    def certified(self) -> np.ndarray:
        """Whether each example is proved: bool [n]."""
        return self.verdicts == "certified"

    @property
    def certified_accuracy(self) -> float:
        """The share of examples for which the label is proved everywhere in the region."""
        return float(self.certified.mean())

    @property
    def clean_accuracy(self) -> float:
        """The share of examples whose label the network gives to the image itself."""
        return float((self.predictions == self.labels).mean())

    def __repr__(self) -> str:
        proved = f"{int(self.certified.sum()):,} of {len(self.labels):,} examples certified"
        return f"<Certification: {self.threat} {radius_text(self.eps)}, {proved}>"

    def summary(self) -> None:
        """Prints the numbers of examples by verdict, and by the rung that certified them."""
        region = f"{self.threat} {radius_text(self.eps)}, {len(self.labels):,} examples"
        table = Table("verdict", "examples", "%", title=region)
        counts = Counter(self.verdicts.tolist())
        for verdict in ("certified", "falsified", "unknown"):
            share = cell(rate(counts[verdict], len(self.labels)))
            table.add_row(verdict, f"{counts[verdict]:,}", share)
        for rung, count in Counter(r for r in self.rungs if r).items():
            table.add_row(f"  by {rung}", f"{count:,}", cell(rate(count, len(self.labels))))
        Console(markup=False, highlight=False).print(table)


def certify(
    model: Any,
    images: Any,
    labels: Any = None,
    eps: Any = None,
    *,
    threat: Any = None,
    norm: Any = None,
    domain: Given = DEFAULT,
    rungs: Sequence[str] | None = None,
    bounds: Mapping[str, Any] | None = None,
    time_limit: float = TIME_LIMIT,
    path: str | Path | None = None,
    progress: bool | Progress | None = None,
) -> Certification:
    """Proves, example by example, that no input within a radius changes a model's answer.

    model: a Keras model of logits (or with a softmax at its end), a `RobustModel`, or a run from
    `load`; of float32. images: [n, ...] in the model's domain, or a `tf.data.Dataset`. labels: [n];
    by default those of the dataset, or else the model's classes for the images. eps: the radius in
    the images' units; for Linf also an array, a radius for each feature. threat: a name (linf, l2,
    l1) or an object of `rt_tf.threats`, linf by default; norm: inf, 2 or 1 in its place. domain:
    the least and the largest value of an input, None for neither; by default that of a
    `RobustModel` or a run, [0, 1] for other models. rungs: of the ladder, see `python -m
    pipelines.certify --help`; the recommended ones by default. bounds: settings of bounds.
    time_limit: seconds for an example, of rungs that search. path: a folder for records, from which
    the same call goes on; none are kept by default. progress: False to show none.

    UserError, in one line, for what does not fit.

    >>> import keras, numpy as np, rt_tf
    >>> layer = keras.layers.Dense(2, kernel_initializer="identity")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> images = np.float32([[0.9, 0.2], [0.4, 0.5]])
    >>> result = rt_tf.certify(model, images, eps=0.1, progress=False)
    >>> result.verdicts.tolist(), float(result.margins[0].round(2))
    (['certified', 'falsified'], 0.5)
    """
    settings = CertifySettings(rungs, dict(bounds or {}), time_limit)
    _refuse_no_radius(eps)
    options = {"threat": threat, "norm": norm, "eps": eps, "domain": domain, "path": path}
    with subject_of(model, images, labels, **options) as (subject, radius):
        _refuse_without_bounds(subject)
        shown = progress_of(progress)
        (records,) = certifying.certify(subject, [(radius, 0)], settings, shown)
        return _certification(subject, radius, records.rows, records.path.parent)


def _certification(subject: Subject, eps: float, rows: list[Row], folder: Path) -> Certification:
    rows = sorted(rows, key=lambda row: row["index"])
    stored = {row["index"]: row["counterexample"]["file"] for row in rows if row["counterexample"]}
    margins = [np.nan if row["margin"] is None else row["margin"] for row in rows]
    return Certification(
        threat=subject.threat.name,
        eps=eps,
        labels=np.array([row["label"] for row in rows], np.int64),
        predictions=np.array([row["prediction"] for row in rows], np.int64),
        verdicts=np.array([row["verdict"] for row in rows]),
        margins=np.array(margins, np.float64),
        rungs=np.array([row["rung"] for row in rows], object),
        seconds=np.array([row["seconds"] for row in rows], np.float64),
        counterexamples={index: np.load(folder / file) for index, file in stored.items()},
    )


@dataclasses.dataclass(frozen=True, eq=False)
class CertifiedRadii:
    """The result of `certified_radius` for n examples; NumPy takes it as the array of radii.

    radii: float64 [n], each proved for the predicted class; 0 where nothing is proved. rungs: [n],
    the names of those that certified, or None. predictions: int64 [n], the model's classes for the
    images.
    """

    threat: str
    radii: np.ndarray
    rungs: np.ndarray
    predictions: np.ndarray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.radii, dtype=dtype)

    def __len__(self) -> int:
        return len(self.radii)

    def __repr__(self) -> str:
        median = f"median {np.median(self.radii):.4g}" if len(self.radii) else "none"
        return f"<CertifiedRadii: {self.threat}, {len(self.radii):,} examples, {median}>"

    def summary(self) -> None:
        """Prints the quartiles of the radii."""
        table = Table("least", "quarter", "median", "three quarters", "greatest")
        table.title = f"certified radii ({self.threat}) of {len(self.radii):,} examples"
        table.add_row(*(f"{q:.4g}" for q in np.quantile(self.radii, [0, 0.25, 0.5, 0.75, 1])))
        Console(markup=False, highlight=False).print(table)


def certified_radius(
    model: Any,
    images: Any,
    largest: float | None = None,
    *,
    threat: Any = None,
    norm: Any = None,
    domain: Given = DEFAULT,
    rungs: Sequence[str] = RadiusSettings.rungs,
    tolerance: float = RadiusSettings.tolerance,
    bounds: Mapping[str, Any] | None = None,
    path: str | Path | None = None,
    progress: bool | Progress | None = None,
) -> CertifiedRadii:
    """Searches, for each example, the largest radius at which the model's answer is proved.

    largest: the largest radius to try; by default the largest of the threat. rungs: bounds that
    prove. tolerance: the share of a radius by which the search may fall short of where its bounds
    fail. model, images, threat, norm, domain, bounds, path, progress: as in `certify`.

    UserError, in one line, for what does not fit.

    >>> import keras, numpy as np, rt_tf
    >>> layer = keras.layers.Dense(2, kernel_initializer="identity")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> images = np.float32([[0.9, 0.2], [0.4, 0.5]])
    >>> radii = rt_tf.certified_radius(model, images, progress=False)
    >>> np.round(radii, 2).tolist()
    [0.35, 0.05]
    """
    settings = RadiusSettings(tuple(rungs), tolerance, dict(bounds or {}))
    options = {"threat": threat, "norm": norm, "eps": largest, "domain": domain, "path": path}
    with subject_of(model, images, None, **options) as (subject, radius):
        _refuse_without_bounds(subject)
        radius = radius or largest_radius(subject.threat, subject.wiring.domain)
        records = search_radii(subject, radius, settings, progress_of(progress))
        rows = sorted(records.rows, key=lambda row: row["index"])
    return CertifiedRadii(
        threat=subject.threat.name,
        radii=np.array([row["radius"] for row in rows], np.float64),
        rungs=np.array([row["rung"] for row in rows], object),
        predictions=np.array([row["prediction"] for row in rows], np.int64),
    )


def _refuse_no_radius(eps: Any) -> None:
    if eps is None:
        raise UserError("eps: expected a radius, in the units of the images; received none")


def _refuse_without_bounds(subject: Subject) -> None:
    if not subject.threat.has_support:
        raise UserError(
            f"threat: expected one that bounds answer to; received {subject.threat.name}, which is "
            "for rt_tf.attack alone"
        )
