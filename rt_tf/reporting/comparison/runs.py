"""The runs that are compared: what they must share, and which are seeds of one system."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.records.merge import Inconsistent, Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.claim import domain_of
from rt_tf.reporting.inference import full_threat_of
from rt_tf.reporting.recorded import own_question, recorded

SEED = "seed"


class Run(NamedTuple):
    """A run by its folder. own: the question that it was made for; by_eps: those of its threat."""

    folder: str
    facts: Row
    history: list[Row]
    own: Question
    by_eps: dict[float, Question]

    @property
    def seconds(self) -> float | None:
        """The time that training took; None for a network that was not trained here."""
        seconds: float | None = (self.facts.get("seconds") or {}).get("train")
        return seconds


class System(NamedTuple):
    """The runs of one system, which differ in their seeds."""

    name: str
    runs: list[Run]


def read(folders: Sequence[str | Path]) -> list[Run]:
    """The runs of some folders.

    UserError for a folder without a finished run, for runs on other data or under another threat
    than the first one's, and for one network twice.
    """
    if len(folders) < 2:
        raise UserError(f"runs: expected two folders of runs or more; received {len(folders)}")
    runs = [_read(Path(folder)) for folder in folders]
    for run in runs[1:]:
        for what, words in SHARED.items():
            ours, theirs = words(runs[0]), words(run)
            if ours != theirs:
                raise UserError(
                    f"runs: expected runs {what}; {runs[0].folder} is of {ours}, {run.folder} of "
                    f"{theirs}"
                )
    _refuse_twins(runs)
    return runs


def systems(runs: Sequence[Run], operational: Collection[str]) -> list[System]:
    """The runs by system, in the order in which they are given.

    Runs are of one system if they have its name and agree in all flags but the seed and the
    operational ones, which do not change a network's training. Of several systems of one name, each
    is named with its first run's folder.
    """
    by_flags: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        flags = {k: v for k, v in run.facts["flags"].items() if k not in {SEED, *operational}}
        by_flags[run.facts["system"], json.dumps(flags, sort_keys=True)].append(run)
    names = [name for name, _ in by_flags]
    return [
        System(name if names.count(name) == 1 else f"{name} ({group[0].folder})", group)
        for (name, _), group in by_flags.items()
    ]


def _read(folder: Path) -> Run:
    if not (folder / "run.json").exists() or not (folder / "records").is_dir():
        raise UserError(
            f"runs: expected folders of finished runs, with run.json and records; {folder} is none"
        )
    try:
        facts, history, questions, _ = recorded(folder)
        own = own_question(facts, questions)
    except (UserError, Inconsistent) as error:
        raise UserError(f"runs: expected a finished, undamaged run in {folder}; {error}") from error
    threat = full_threat_of(own)
    by_eps = {q.eps: q for q in questions if full_threat_of(q) == threat}
    return Run(str(folder), facts, history, own, by_eps)


def _data(run: Run) -> str:
    dataset = run.facts["dataset"]
    split = next(iter(run.own.headers.values()))["split"]
    return f"{dataset['name']} ({split} split {dataset[split]['checksum'][:12]})"


def _domain(run: Run) -> str:
    """The domain in words; one with ends by feature also has a checksum, since its words do not."""
    domain = domain_of(run.facts)
    if domain.is_uniform:
        return str(domain)
    return f"{domain} ({hashlib.sha256(json.dumps(domain.config()).encode()).hexdigest()[:12]})"


def _threat(run: Run) -> str:
    """The threat, with what there is of settings: radii of a union, for example."""
    settings: dict[str, Any] = next(iter(run.own.headers.values())).get("threat_settings") or {}
    return " ".join([run.own.threat, *(f"{name} {value}" for name, value in settings.items())])


SHARED: dict[str, Callable[[Run], str]] = {
    "on the same images": _data,
    "on inputs of the same range": _domain,
    "under the same threat": _threat,
}


def _refuse_twins(runs: Sequence[Run]) -> None:
    """Raises UserError for one network twice: it would count as two seeds."""
    first: dict[str, Run] = {}
    for run in runs:
        twin = first.setdefault(run.facts["network_sha256"], run)
        if twin is not run:
            raise UserError(
                f"runs: expected different networks; {twin.folder} and {run.folder} have the same"
            )


def chosen_radii(runs: Sequence[Run], radii: Sequence[float] | None) -> list[float]:
    """The radii to compare at: the given ones, or those that the runs were made for; growing.

    UserError where a run has no records at one of them.
    """
    chosen = sorted(set(radii or [run.own.eps for run in runs]))
    for run in runs:
        missing = [eps for eps in chosen if eps not in run.by_eps]
        if missing:
            raise UserError(
                f"epsilon: expected radii that all runs have records of, {_listed(runs)}; "
                f"{run.folder} has none of {radius_text(missing[0])}: pipelines.certify and "
                "pipelines.evaluate make them"
            )
    return chosen


def common_radii(runs: Sequence[Run]) -> list[float]:
    """The radii at which all runs have records, growing."""
    return sorted(set.intersection(*(set(run.by_eps) for run in runs)))


def _listed(runs: Sequence[Run]) -> str:
    words = ", ".join(map(radius_text, common_radii(runs)))
    return f"here {words}" if words else "of which there is none yet"
