"""Small runs by their commands, and what they must come to, whatever happens to them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SYSTEM = (
    "--system=reliability",
    "--model=digits_fc",
    "--deterministic",
    "--epochs=4,4",
    "--attack=pgd,none",
    "--attack_steps=2",
    "--bound=none,interval",
    "--kappa=0,0.5",
    "--batch_size=100",
    "--epsilon=0.03",
    "--checkpoint_seconds=0",
    "--monitor_samples=100",
    "--monitor_attack_steps=2",
    "--samples=20",
    "--curve=0.5",
    "--curve_samples=10",
    "--eval_steps=3",
    "--eval_restarts=1",
)
CERTIFY = ("--epsilon=0.02", "--samples=60", "--rungs=interval,crown,attack,branch_and_bound")
LIMIT = 600.0  # seconds that a command may take
REFUSED = (1, 2)


class End(NamedTuple):
    """The end of a command: its status, and the lines of its two outputs."""

    status: int
    output: list[str]
    errors: list[str]

    @property
    def is_refusal(self) -> bool:
        """Whether the command said in one line what is wrong."""
        return self.status in REFUSED and len(self.errors) == 1


class Trial(NamedTuple):
    """One harm: whether what followed was as it has to be, and what happened."""

    held: bool
    what: str


def started(module: str, *arguments: str, before: str = "") -> subprocess.Popen[str]:
    """A command in a process of its own. before: words of a shell that come first."""
    words = [sys.executable, "-m", f"pipelines.{module}", *arguments]
    if before:
        words = ["bash", "-c", f'{before}; exec "$0" "$@"', *words]
    return subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> End:
    """The end of a process."""
    out, errors = process.communicate(timeout=LIMIT)
    lines = [line for line in errors.splitlines() if not line.startswith(("WARNING: All", "I0"))]
    return End(process.returncode, out.splitlines(), lines)


def command(module: str, *arguments: str, before: str = "") -> End:
    """A command, run to its end."""
    return ended(started(module, *arguments, before=before))


def train(run: Path, *arguments: str, before: str = "") -> End:
    """The training command of the small system."""
    return command("train", *SYSTEM, f"--model_dir={run}", *arguments, before=before)


def certify(run: Path, *arguments: str, before: str = "") -> End:
    """Asks a finished run at another radius."""
    return command("certify", f"--model_dir={run}", *CERTIFY, *arguments, before=before)


def figures(run: Path) -> dict[str, Any]:
    """The network of a run, and the verdict and the rung of every question on every example."""
    report = json.loads((run / "report" / "report.json").read_text())
    rows = {
        str(path.relative_to(run / "records")): [
            (row["index"], row["verdict"], row["rung"]) for row in _rows(path)
        ]
        for path in sorted(run.glob("records/*/examples.jsonl"))
    }
    return {"network": report["model"]["network_sha256"], "rows": rows}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(run: Path, wanted: dict[str, Any], end: End) -> Trial:
    """Whether a command ended well, and its run in the figures that are wanted."""
    if end.status:
        return Trial(False, f"status {end.status}: {' | '.join(end.errors[-3:])}")
    is_same = figures(run) == wanted
    return Trial(is_same, "the same figures" if is_same else "other figures")


def same_or_refused(run: Path, wanted: dict[str, Any], end: End) -> Trial:
    """Whether a command gave the figures that are wanted, or said in one line why not."""
    if end.is_refusal:
        return Trial(True, end.errors[0])
    return same(run, wanted, end)
