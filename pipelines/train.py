"""Trains, exports, certifies, attacks and reports: `python -m pipelines.train --flagfile=...`."""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from absl import flags

from pipelines.console import console, import_tensorflow, one_line_errors, tell_next
from pipelines.flags import run as ours
from pipelines.flags.evaluation import eval_budget
from pipelines.flags.parsing import fail, parse
from pipelines.flags.read_phases import read_phases
from pipelines.runs.directory import RunDirectory

ABOUT = """Trains a certifiably robust image classifier, certifies and attacks it on the test split,
writes a report and exports a SavedModel. Killed, it goes on with the same command.

  python -m pipelines.train --flagfile=configs/digits/ibp.cfg"""


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    groups = ours.training_groups(values)
    parse(argv or sys.argv, groups, ABOUT)
    if not values.model_dir:
        fail("model_dir: expected --model_dir=<folder of the run>; received none")
    texts = ours.frozen(values, groups)
    with one_line_errors():
        if values.dry_run:
            read_phases(values)
            import_tensorflow()
            from pipelines.stages.plan import show_plan

            show_plan(values)
            return
        run = RunDirectory(values.model_dir)
        with run.locked():
            train_and_publish(values, texts, run)


def train_and_publish(values: Any, texts: dict[str, str], run: RunDirectory) -> None:
    """Performs all stages of a run that are not done; nothing is written before all is checked."""
    screen = console(values.quiet)
    changed = run.compare(texts, values.accept_changed_flags)
    if set(STAGES) <= set(run.done()) and not changed:
        print(f"{run.path} is finished: its report is in {run.path}/report/report.html")
        return
    read_phases(values)
    screen.print(f"{values.system}: {run.path}")
    import_tensorflow()
    from pipelines.assembly import devices, inputs, schedule
    from pipelines.runs.provenance import check_data, note_facts, provenance
    from pipelines.stages import training

    devices.prepare_tensorflow(values.seed, values.deterministic)
    threat = inputs.threat(values)
    schedule.phases(values, threat)
    dataset = inputs.load_data(values)
    check_data(run, dataset)
    loop = None if "train" in run.done() else training.checked_loop(values, dataset, run.path)
    run.reopen([stage for stage in STAGES if stage != "train"] if changed else [])
    run.freeze(texts)
    note_facts(run, provenance(values, texts, dataset))
    work = Work(values, run, dataset, loop, screen)
    for stage, perform in STAGES.items():
        if stage not in run.done():
            began, cpu_began = time.perf_counter(), time.process_time()
            perform(work)
            run.finish(
                stage,
                seconds=time.perf_counter() - began,
                cpu_seconds=time.process_time() - cpu_began,
            )
    tell_next(screen, run.path, threat.has_support)


class Work(NamedTuple):
    """The objects that the stages of a run share; the loop is None once training is done."""

    values: Any
    run: RunDirectory
    dataset: Any
    loop: Any
    screen: Any


def _train(work: Work) -> None:
    from pipelines.stages.training import train

    train(work.values, work.run, work.dataset, work.loop, work.screen)


def _export(work: Work) -> None:
    from pipelines.assembly import inputs
    from pipelines.stages import publish

    publish.export_model(work.run, work.dataset, inputs.threat(work.values))


def _certify(work: Work) -> None:
    from pipelines.assembly.settings import certify_settings
    from rt_tf.evaluation.certifying import certify
    from rt_tf.evaluation.terminal import TerminalProgress

    subject, settings = _subject(work), certify_settings(work.values)
    if subject.threat.has_support:
        radii = _radii(work.values, subject.threat)
        certify(subject, radii, settings, TerminalProgress(work.screen))


def _attack(work: Work) -> None:
    from rt_tf.evaluation.attacking import Attacker
    from rt_tf.evaluation.cascades import tell_weaker
    from rt_tf.evaluation.preflight import warnings_of
    from rt_tf.evaluation.terminal import TerminalProgress

    subject, progress = _subject(work), TerminalProgress(work.screen)
    budget = eval_budget(work.values)
    tell_weaker(budget, subject, progress)
    warnings_of(subject, progress)
    attacker = Attacker(subject, budget, work.values.seed)
    for eps, samples in _radii(work.values, subject.threat):
        attacker.attack(eps, samples, progress)


def _report(work: Work) -> None:
    from pipelines.stages import publish

    publish.report(work.run, work.dataset)


def _subject(work: Work) -> Any:
    from pipelines.assembly import inputs
    from pipelines.runs.loading import load_run
    from pipelines.stages import publish

    publish.mend_export(work.run, work.dataset)
    return load_run(work.run, work.dataset, inputs.threat(work.values))


STAGES: dict[str, Callable[[Work], None]] = {
    "train": _train,
    "export": _export,
    "certify": _certify,
    "attack": _attack,
    "report": _report,
}


def _radii(values: Any, threat: Any) -> list[tuple[float, int]]:
    """The target radius on all samples, and the radii of the curve on fewer."""
    from pipelines.assembly.inputs import domain
    from rt_tf.records.merge import question_name
    from rt_tf.threats.region import largest_radius

    curve = [float(f"{factor * values.epsilon:.6g}") for factor in values.curve]
    samples = min(values.curve_samples, values.samples or values.curve_samples)
    target = question_name(threat.name, values.epsilon)
    largest = largest_radius(threat, domain(values))
    others = [e for e in curve if 0 < e <= largest and question_name(threat.name, e) != target]
    return [(values.epsilon, values.samples), *((eps, samples) for eps in others)]


if __name__ == "__main__":
    main()
