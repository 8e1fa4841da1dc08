"""Systems trained, certified and attacked: their results beside those of their papers.

    python -m benchmarks.systems --data_dir=<your TFDS folder>
    python -m benchmarks.systems --data_dir=<your TFDS folder> --seeds=3 mnist/goal_01 mnist/goal_03

Runs the flag files configs/<data set>/<system>-short.cfg, or the systems that are named, one after
another where there is no result yet, and stores each result in benchmarks/results/systems/ as it
ends: killed, it goes on with the same command. Then prints their results as a markdown table,
several seeds in one row with the least and the greatest. `--table` only prints; `--cluster` shares
the runs among the workers of a cluster.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.assembly import tasks
from pipelines.flags.cluster import Cluster, cluster
from pipelines.flags.help import CONFIGS
from rt_tf.exactly import radius_text
from rt_tf.files import write_text

RESULTS = Path(__file__).parent / "results" / "systems"
COLUMNS = ["system", "region", "published", "clean", "attacked", "certified", "images"]
COLUMNS += ["training, min", "cores"]
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
KEPT = ("clean", "attacked", "certified")
PRIVATE = ("data_dir", "model_dir", "extra_data", "extra_labels_from")
Result = dict[str, Any]


def short_systems() -> list[str]:
    """The names of all shortened systems."""
    paths = sorted(CONFIGS.glob("*/*-short.cfg"))
    return [str(path.relative_to(CONFIGS).with_suffix("")) for path in paths]


def place(name: str, seed: int, results: Path = RESULTS) -> Path:
    """The file of a system's result."""
    return results / f"{name.replace('/', '-')}-seed{seed}.json"


def command(name: str, seed: int, run: Path, options: Sequence[str]) -> list[str]:
    """The command that runs a system to its end, in the folder of `configs`."""
    words = [sys.executable, "-m", "pipelines.train", f"--flagfile=configs/{name}.cfg"]
    return [*words, f"--model_dir={run}", f"--seed={seed}", *options]


def keep(run: Path, name: str, seed: int, results: Path = RESULTS) -> None:
    """Writes the result of a finished run to its file."""
    write_text(place(name, seed, results), json.dumps(result(run), indent=1) + "\n")


def result(run: Path) -> Result:
    """The result of a finished run, from its report and its facts."""
    report = json.loads((run / "report" / "report.json").read_text())
    facts = json.loads((run / "run.json").read_text())
    question = next(q for q in report["questions"] if q["name"] == report["main"])
    flags = {name: value for name, value in facts["flags"].items() if name not in PRIVATE}
    return {
        "system": report["system"],
        "seed": facts["seed"],
        "published": flags.get("published", "-"),
        "threat": question["threat"],
        "epsilon": question["epsilon"],
        **{name: question[name] for name in KEPT},
        "training_seconds": report["training"]["seconds"],
        "training_cpu_seconds": report["training"]["cpu_seconds"],
        **{end: report["training"][end] for end in ("final", "best")},
        **{name: facts.get(name) for name in ("selected", "model", "code", "hardware")},
        "flags": flags,
    }


def row(results: list[Result]) -> str:
    """A system's results, one for each seed, as a row of the table."""
    first = results[0]
    minutes = [_minutes(result) for result in results]
    cells = [
        f"`{first['system']}`",
        f"{first['threat']} {radius_text(first['epsilon'])}",
        first["published"],
        *(_spread([r[name] and 100 * r[name]["rate"] for r in results]) for name in KEPT),
        f"{first['clean']['n']:,}",
        _spread(minutes),
        _spread((result["hardware"]["cores"] for result in results), digits=0),
    ]
    return "| " + " | ".join(cells) + " |"


def _minutes(result: Result) -> float:
    """The minutes of training: of CPU on one core, where other jobs do not count; else elapsed."""
    cpu_seconds = result.get("training_cpu_seconds") if result["hardware"]["cores"] == 1 else None
    return (cpu_seconds or result["training_seconds"]) / 60


def _spread(values: Iterable[float | None], digits: int = 1) -> str:
    """One number, or the least and the greatest of several; a dash where there is none."""
    texts = sorted({f"{value:.{digits}f}" for value in values if value is not None}, key=float)
    return "-" if not texts else texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def table(names: Collection[str], results: Path = RESULTS) -> str:
    """The results of systems as markdown, sorted by data set, threat and radius."""
    all_results = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    chosen = [result for result in all_results if result["system"] in names]
    by_system = itertools.groupby(sorted(chosen, key=_rank), lambda result: result["system"])
    return "\n".join([HEADER, *(row(list(seeds)) for _, seeds in by_system)])


def _rank(result: Result) -> tuple[str, str, float, str]:
    return (result["flags"]["dataset"], result["threat"], result["epsilon"], result["system"])


def _run(
    asked: Sequence[tuple[str, int]], runs: Path, options: Sequence[str], where: Cluster | None
) -> list[str]:
    """Runs the systems and seeds without a result, and keeps their results; those that failed."""
    folders = {
        f"{name}, seed {seed}": (runs / f"{name}-seed{seed}", name, seed)
        for name, seed in asked
        if not place(name, seed).exists()
    }
    commands = {
        title: command(name, seed, run, options) for title, (run, name, seed) in folders.items()
    }
    failed = []
    for title, end in tasks.done(commands, CONFIGS.parent, where):
        print(f"{title}: {'done' if end.status == 0 else end.errors.strip()}", flush=True)
        if end.status:
            failed.append(title)
        else:
            keep(*folders[title])
    return failed


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="systems; the shortened ones, by default")
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each, with seeds 0, 1, ...")
    parser.add_argument("--table", action="store_true", help="only print the table")
    about = "a cluster of Dask that shares the runs (docs/scale.md): local:2, tcp://host:8786"
    parser.add_argument("--cluster", type=cluster, help=about)
    arguments = parser.parse_args()
    names = arguments.names or short_systems()
    options = [f"--data_dir={arguments.data_dir}"] if arguments.data_dir else []
    failed = []
    if not arguments.table:
        asked = list(itertools.product(names, range(arguments.seeds)))
        failed = _run(asked, arguments.runs.resolve(), options, arguments.cluster)
    print(table(names))
    if failed:
        sys.exit(f"failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
