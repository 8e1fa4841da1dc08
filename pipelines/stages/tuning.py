"""A search by keras-tuner, in which each trial is a training run."""

from typing import Any

import keras_tuner
from absl import flags
from keras_tuner.engine.base_tuner import BaseTuner
from rich.table import Table

from pipelines.assembly import devices, inputs, monitoring, schedule
from pipelines.assembly.cluster import connected, result_of
from pipelines.console import flag, terminal
from pipelines.flags.space import Space, as_flag
from pipelines.output import Terminal
from pipelines.runs.directory import RunDirectory
from pipelines.stages.trials import Outcome, Trial, outcome, outcome_elsewhere, refuse_members
from rt_tf import data
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.files import write_text

ORACLES = {
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
}
SCORE = "score"
LOST = Outcome(None, "no worker survived it")


class Search(BaseTuner):
    """Trials of a system over a space, in `<model_dir>/trials`; resumes what is there."""

    def __init__(
        self,
        values: flags.FlagValues,
        texts: dict[str, str],
        space: Space,
        study: RunDirectory,
        screen: Terminal,
    ) -> None:
        """Raises UserError, and writes nothing, if the data or the flags do not fit."""
        devices.prepare_tensorflow(values.seed, values.deterministic)
        self.values, self.texts, self.study, self.screen = values, {**texts}, study, screen
        self.dataset: data.DataSet = inputs.load_data(values)
        phases = schedule.phases(values, inputs.threat(values))
        chosen = values.objective if values.objective != "auto" else None
        selected = monitoring.selection(values, phases)
        self.texts |= {  # the same for all trials, whatever bound they are trained by
            "select_by": selected,
            "monitor_bound": monitoring.monitored_name(values.monitor_bound, phases),
        }
        self.by = chosen or (monitoring.trained_for(phases) if selected == "last" else selected)
        monitoring.refuse_unwatched("objective", self.by, values)
        refuse_members(phases)
        folder = study.path / "search"
        reloaded, begun = (folder / "tuner0.json").exists(), (folder / "oracle.json").exists()
        super().__init__(
            _oracle(values, space),
            directory=str(study.path),
            project_name="search",
            overwrite=False,
        )
        if begun and not reloaded:  # a kill may have kept keras-tuner from writing its own file
            self.oracle.reload()
        self.save()

    def run(self) -> None:
        """Searches to the end; prints the trials and writes the flags of the best one."""
        if self.values.cluster is None:
            self.search(verbose=0)
        else:
            with connected(self.values.cluster) as client:
                self._search_on(client)
        trials = sorted(self.oracle.trials.values(), key=_rank)
        terminal().print(self._table(trials))
        if not trials or trials[0].score is None:
            raise UserError("trials: expected one that ends well; all failed, see the lines above")
        flag_texts = {**self.texts, **self._flags(trials[0])}
        del flag_texts["model_dir"]
        lines = [
            f"# The best of {len(trials)} trials: {self.by} {trials[0].score:.4f} on validation."
        ]
        lines += [f"--{name}={text}" for name, text in flag_texts.items()]
        write_text(self.study.path / "best.cfg", "\n".join(lines) + "\n")
        best = flag("flagfile", f"{self.study.path}/best.cfg")
        command = f"{called('train')} {best} --model_dir=<folder of the run>"
        self.screen.tell("next", f"next:\n  {command}", commands=[command])

    def run_trial(self, trial: Any, **options: Any) -> dict[str, float]:
        """Trains once; FailedTrialError for flags that fail, FatalError for other errors."""
        try:
            ended = outcome(self._trial(trial), self.dataset, self.screen)
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        score = self._told(trial, ended)
        if score is None:
            raise keras_tuner.errors.FailedTrialError(ended.failure)
        return {SCORE: score}

    def _search_on(self, client: Any) -> None:
        """Searches by the workers of a cluster: as many trials at a time as there are workers."""
        from distributed import as_completed

        self.oracle.verbose = 0
        running: dict[Any, Any] = {}
        ended = as_completed()
        free = [f"worker-{k}" for k in range(len(client.scheduler_info()["workers"]))]
        try:
            while True:
                while free and (trial := self._next(free[-1])):
                    future = client.submit(outcome_elsewhere, self._trial(trial), pure=False)
                    running[future] = (free.pop(), trial)
                    ended.add(future)
                if not running:
                    return
                future = next(ended)
                name, trial = running.pop(future)
                free.append(name)
                self._end(trial, self._told(trial, result_of(future, LOST)))
        finally:
            client.cancel(list(running), force=True)

    def _next(self, worker: str) -> Any:
        """The next trial of a worker; None where there is none, or none until others have ended."""
        trial = self.oracle.create_trial(worker)
        return trial if trial.status == "RUNNING" else None

    def _end(self, trial: Any, score: float | None) -> None:
        """Notes the end of a trial of another process, as keras-tuner does of its own."""
        if score is not None:
            self.oracle.update_trial(trial.trial_id, {SCORE: score})
        trial.status = "FAILED" if score is None else "COMPLETED"
        self.on_trial_end(trial)

    def _told(self, trial: Any, ended: Outcome) -> float | None:
        """The score of a trial, which has been told in a line."""
        if ended.score is None:
            self._tell(trial, f"failed: {ended.failure}", failed=ended.failure)
        else:
            told = {self.by: ended.score, "flags": self._flags(trial)}
            self._tell(trial, f"{self.by} {ended.score:.4f}", **told)
        return ended.score

    def _trial(self, trial: Any) -> Trial:
        """A trial of keras-tuner's with all that its training needs."""
        study = self.study.path.resolve()
        return Trial(study, trial.trial_id, self.texts, self._flags(trial), self.by)

    def _tell(self, trial: Any, line: str, **facts: Any) -> None:
        self.screen.tell("trial", f"trial {trial.trial_id}: {line}", trial=trial.trial_id, **facts)

    def on_trial_end(self, trial: Any) -> None:
        """Saves the search again: keras-tuner saves before a trial's end, and would retry it."""
        super().on_trial_end(trial)
        self.oracle.save()

    def _flags(self, trial: Any) -> dict[str, str]:
        """The flags of a trial that the search has chosen, as text."""
        return {name: as_flag(value) for name, value in trial.hyperparameters.values.items()}

    def _table(self, trials: list[Any]) -> Table:
        names = list(trials[0].hyperparameters.values) if trials else []
        table = Table(
            "trial", *names, self.by, title=f"{self.texts['system']}: {len(trials)} trials"
        )
        for trial in trials:
            score = "failed" if trial.score is None else f"{100 * trial.score:.2f} %"
            table.add_row(trial.trial_id, *self._flags(trial).values(), score)
        return table


def _oracle(values: flags.FlagValues, space: Space) -> Any:
    parameters = keras_tuner.HyperParameters()
    for name, settings in space.flags.items():
        options = {key: value for key, value in settings.items() if key != "kind"}
        make = getattr(parameters, {"int": "Int"}.get(settings["kind"], settings["kind"].title()))
        try:
            make(name, **options)
        except (TypeError, ValueError) as error:
            raise UserError(f"space: '{name}': {' '.join(str(error).split())}") from error
    common = {
        "objective": keras_tuner.Objective(SCORE, "max"),
        "max_trials": values.trials,
        "hyperparameters": parameters,
        "allow_new_entries": False,
        "tune_new_entries": False,
        "max_retries_per_trial": 0,
        "max_consecutive_failed_trials": values.trials + 1,
        "seed": values.seed,
    }
    return ORACLES[values.tuner](**common)


def _rank(trial: Any) -> float:
    return float("inf") if trial.score is None else -trial.score
