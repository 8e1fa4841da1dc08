"""The course of a run: its stages, each of which is performed once."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

from pipelines.assembly import devices, inputs, schedule
from pipelines.assembly.settings import certify_settings
from pipelines.flags.evaluation import eval_budget
from pipelines.output import OUTPUT, Terminal
from pipelines.progress import ConsoleProgress
from pipelines.runs.directory import STAGES, RunDirectory
from pipelines.runs.loading import load_run
from pipelines.runs.place import Place
from pipelines.runs.provenance import check_data, check_model_file, note_facts, provenance
from pipelines.stages import publish, training
from pipelines.stages.together import refuse_others
from rt_tf import data
from rt_tf.domain import Domain
from rt_tf.evaluation.attacking import Attacker
from rt_tf.evaluation.cascades import tell_weaker
from rt_tf.evaluation.certifying import certify
from rt_tf.evaluation.preflight import warnings_of
from rt_tf.evaluation.subject import Subject
from rt_tf.records.merge import question_name
from rt_tf.threats.region import Threat, largest_radius
from rt_tf.training.loop.loop import Loop


class Course(NamedTuple):
    """A run with the objects that its stages share; the loop is None once training is done."""

    values: flags.FlagValues
    run: RunDirectory
    dataset: data.DataSet
    threat: Threat
    loop: Loop | None
    screen: Terminal


def prepared(
    values: flags.FlagValues,
    texts: dict[str, str],
    run: RunDirectory,
    screen: Terminal,
    anew: list[str],
    place: Place,
) -> Course:
    """The course of a run, whose flags and facts are written once all of them are checked.

    texts: the flags to freeze. anew: the stages to perform again. place: of this process among
    those that train together; only where it is alone need training be done.
    """
    strategy = devices.strategy(values.strategy, values.jit_compile, place)
    devices.prepare_tensorflow(values.seed, values.deterministic)
    threat = inputs.threat(values)
    schedule.phases(values, threat)
    dataset = inputs.load_data(values, ConsoleProgress(screen))
    check_data(run, dataset)
    screen.print(*dataset.notes, sep="\n", end="\n" if dataset.notes else "")
    loop = None
    if "train" not in run.done():
        loop = training.checked_loop(values, dataset, run.path, strategy)
        check_model_file(run, values)
        refuse_others(loop.workers, texts, dataset)
    run.reopen(anew)
    run.freeze(texts)
    note_facts(run, provenance(values, texts, dataset))
    return Course(values, run, dataset, threat, loop, screen)


def perform(course: Course, stages: Sequence[str] = STAGES) -> None:
    """Performs those of the stages that are not done, in order."""
    for stage in stages:
        if stage not in course.run.done():
            OUTPUT.stage = stage
            began, cpu_began = time.perf_counter(), time.process_time()
            _PERFORMED[stage](course)
            course.run.finish(
                stage,
                seconds=time.perf_counter() - began,
                cpu_seconds=time.process_time() - cpu_began,
            )


def _train(course: Course) -> None:
    assert course.loop is not None  # it is made unless training is done
    training.train(course.values, course.run, course.dataset, course.loop, course.screen)


def _export(course: Course) -> None:
    publish.export_model(course.run, course.dataset, course.threat)


def _certify(course: Course) -> None:
    subject, settings = _subject(course), certify_settings(course.values)
    if subject.threat.has_support:
        radii = _radii(course.values, subject.threat, course.dataset.domain)
        certify(subject, radii, settings, ConsoleProgress(course.screen))


def _attack(course: Course) -> None:
    subject, progress = _subject(course), ConsoleProgress(course.screen)
    budget = eval_budget(course.values)
    tell_weaker(budget, subject, progress)
    warnings_of(subject, progress)
    attacker = Attacker(subject, budget, course.values.seed)
    for eps, samples in _radii(course.values, subject.threat, course.dataset.domain):
        attacker.attack(eps, samples, progress)


def _report(course: Course) -> None:
    publish.report(course.run, course.dataset)


_PERFORMED: dict[str, Callable[[Course], None]] = {
    "train": _train,
    "export": _export,
    "certify": _certify,
    "attack": _attack,
    "report": _report,
}


def _subject(course: Course) -> Subject:
    publish.mend_export(course.run, course.dataset)
    return load_run(course.run, course.dataset, course.threat)


def _radii(values: flags.FlagValues, threat: Threat, domain: Domain) -> list[tuple[float, int]]:
    """The target radius on all samples, and the radii of the curve on fewer.

    domain: of the network's input.
    """
    curve = [float(f"{factor * values.epsilon:.6g}") for factor in values.curve]
    samples = min(values.curve_samples, values.samples or values.curve_samples)
    target = question_name(threat.name, values.epsilon)
    largest = largest_radius(threat, domain)
    others = [e for e in curve if 0 < e <= largest and question_name(threat.name, e) != target]
    return [(values.epsilon, values.samples), *((eps, samples) for eps in others)]
